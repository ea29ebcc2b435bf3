"""A cloud whose wall clock the test sets."""

import datetime
import subprocess
from pathlib import Path

UTC = datetime.timezone.utc
SOURCE = Path(__file__).with_name("shifted_clock.c")


def month_start(months):
    """The first of the month so many months from the machine's."""
    today = datetime.datetime.now(UTC)
    month = today.year * 12 + today.month - 1 + months
    return datetime.datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def name_of(month):
    return month.strftime("%Y-%m")


def set_clock(cloud, folder, moment):
    """From the cloud's next start on its clock says `moment` now, and goes on from there."""
    library = folder / "shifted_clock.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    ahead = moment - datetime.datetime.now(UTC)
    cloud.environment |= {"LD_PRELOAD": str(library),
                          "SHIFTED_CLOCK_SECONDS": str(int(ahead.total_seconds()))}
