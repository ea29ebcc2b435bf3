"""Random towns, their books kept from outside too, in fractions; `make audit` tries many more."""

import pytest
from audited_town import Town


@pytest.mark.parametrize("seed", [1, 2])
def test_every_account_is_what_the_model_says(seed, tmp_path):
    Town(seed, tmp_path / "cloud").live(rounds=3, calls=300)
