"""A strict reader of Prometheus' text format, version 0.0.4.

    families = read(text)
    families["stoa_workers"].kind == "gauge"
    families["stoa_workers"].value() == 2
    families["stoa_problems_total"].value(type="timeout", status="504")

Whatever the format does not allow fails: a sample without HELP and TYPE before it, a family in two
places, a series given twice, a name, label or number that is none, a histogram whose buckets do
not grow, lack +Inf or disagree with their count.
"""

import re
from dataclasses import dataclass, field

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) (\S.*)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')


@dataclass
class Family:
    name: str
    sentence: str
    kind: str = None
    samples: dict = field(default_factory=dict)  # (name, sorted labels) -> number

    def value(self, suffix="", **labels):
        return self.samples[self.name + suffix, tuple(sorted(labels.items()))]

    def series(self, suffix=""):
        """The labels of its series."""
        return [dict(labels) for name, labels in self.samples if name == self.name + suffix]


def read_labels(text):
    labels, at = {}, 0
    while at < len(text or ""):
        found = LABEL.match(text, at)
        assert found, text
        assert found.group(1) not in labels, text
        labels[found.group(1)] = found.group(2)
        at = found.end()
        assert found.group(3) == "," or at == len(text), text
    return tuple(sorted(labels.items()))


def belongs(name, family):
    if family.kind == "histogram":
        return name in {family.name + suffix for suffix in ("_bucket", "_sum", "_count")}
    return name == family.name


def check_histogram(family):
    groups = {}
    for (name, labels), value in family.samples.items():
        own = tuple(pair for pair in labels if pair[0] != "le")
        group = groups.setdefault(own, {"buckets": [], "sum": None, "count": None})
        if name.endswith("_bucket"):
            group["buckets"].append((float(dict(labels)["le"]), value))
        else:
            group[name.rsplit("_", 1)[1]] = value
    for group in groups.values():
        bounds = [bound for bound, _ in group["buckets"]]
        values = [value for _, value in group["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), family.name
        assert values == sorted(values) and values[-1] == group["count"], family.name
        assert group["sum"] is not None


def read(text):
    assert text.endswith("\n")
    families, family = {}, None
    for line in text[:-1].split("\n"):
        if found := HELP.fullmatch(line):
            assert family is None or family.kind, line
            assert found.group(1) not in families, f"{line}: in two places"
            family = families[found.group(1)] = Family(found.group(1), found.group(2))
        elif found := TYPE.fullmatch(line):
            assert family and family.name == found.group(1) and family.kind is None, line
            family.kind = found.group(2)
            assert (family.kind == "counter") == family.name.endswith("_total"), line
        else:
            found = SAMPLE.fullmatch(line)
            assert found, f"{line!r} is no sample"
            assert family and family.kind and belongs(found.group(1), family), line
            series = (found.group(1), read_labels(found.group(2)))
            assert series not in family.samples, f"{line}: given twice"
            family.samples[series] = float(found.group(3))
            assert family.kind == "gauge" or family.samples[series] >= 0, line
    for family in families.values():
        if family.kind == "histogram":
            check_histogram(family)
    return families
