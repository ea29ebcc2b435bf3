"""What calls cost, by docs/billing.md, in fractions: an oracle that shares no code with Stoa.

Amounts are whole nano-units as int; rates are fractions. A plan is made from the same dictionary
as the manifest, so both read the same words.
"""

from dataclasses import dataclass, field
from fractions import Fraction

NANO = 10 ** 9
MEASURED = ("calls", "request_bytes", "response_bytes", "duration_ms")
MULTIPLES = {"k": 10 ** 3, "M": 10 ** 6, "G": 10 ** 9}


def nano(text):
    """The nano-units of a decimal text."""
    value = Fraction(str(text)) * NANO
    assert value.denominator == 1, text
    return int(value)


def count(text):
    """3000 of "3k"."""
    text = str(text)
    return int(text[:-1]) * MULTIPLES[text[-1]] if text[-1] in MULTIPLES else int(text)


def rate(text):
    """Nano-units for each unit, of "0.10 per 1M"."""
    amount, _, per = str(text).partition(" per ")
    return Fraction(nano(amount), count(per or 1))


class Price:
    def __init__(self, words):
        self.model = words["model"]
        self.meter = words.get("meter", "calls")
        self.free = count(words.get("free", 0))
        self.size = count(words.get("size", 1))
        self.minimum = nano(words.get("minimum", 0))
        self.tiers = [(None, rate(words["price"]))] if "price" in words else [
            (count(tier["up_to"]) if "up_to" in tier else None, rate(tier["price"]))
            for tier in words["tiers"]]

    def charge(self, quantity):
        """R(Q)."""
        return max(self.minimum, self.list_charge(quantity)) if quantity > 0 else 0

    def list_charge(self, quantity):
        units = max(0, quantity - self.free)
        if self.model == "flat":
            return int(self.tiers[0][1]) if quantity > 0 else 0
        if self.model == "package":
            return int(-(-units // self.size) * self.tiers[0][1])
        total, below = Fraction(0), 0
        for up_to, each in self.tiers:
            part = units - below if up_to is None else min(units, up_to) - below
            if part > 0:
                total += part * each
            below = units if up_to is None else max(below, min(units, up_to))
        return round(total)  # half to even

    def most(self, units):
        """The most that so many units of one call add, whatever came before."""
        if self.model == "flat":
            return 0
        if self.model == "package":
            return int(-(-units // self.size) * self.tiers[0][1])
        dearest = units * max(each for _, each in self.tiers)
        rounded = any(each.denominator != 1 for _, each in self.tiers)
        return int(dearest) + (1 if rounded and dearest > 0 else 0)

    def units_within(self, units, most):
        """How many of the units cost at most so much."""
        low, high = 0, units
        while low < high:
            middle = (low + high + 1) // 2
            if self.most(middle) <= most:
                low = middle
            else:
                high = middle - 1
        return low


class Plan:
    def __init__(self, words):
        self.prices = [Price(price) for price in words["prices"]]
        self.max_charge = nano(words["max_charge"]) if "max_charge" in words else None
        self.max_units = {name: count(most) for name, most in words.get("max_units", {}).items()}
        for price in words["prices"]:
            if "max_per_call" in price:
                most = self.max_units.get(price["meter"], 2 ** 63)
                self.max_units[price["meter"]] = Price(price).units_within(
                    most, nano(price["max_per_call"]))
        discounts = words.get("discount", [])
        discounts = discounts if isinstance(discounts, list) else [discounts]
        self.percent_off, self.amount_off = Fraction(0), 0
        for discount in discounts:
            if str(discount).endswith("%"):
                self.percent_off = Fraction(discount.rstrip("%")) / 100
            else:
                self.amount_off = nano(discount)
        self.always = words.get("bill_on") == "always"

    def bills(self, status):
        return self.always or status < 500

    def counted(self, used):
        """What of a call's quantities counts."""
        used = {meter: min(units, self.max_units.get(meter, units))
                for meter, units in used.items()}
        if self.max_charge is None:
            return used
        left = self.max_charge - sum(price.most(1) for price in self.prices
                                     if price.meter == "calls")
        for price in self.prices:
            if price.meter != "calls":
                used[price.meter] = price.units_within(used.get(price.meter, 0), left)
                left -= price.most(used[price.meter])
        return used


@dataclass
class Use:
    """A subscription's month."""

    plan: Plan
    quantities: dict = field(default_factory=dict)
    cloud: dict = field(default_factory=dict)

    def add(self, used):
        for meter, units in self.plan.counted(used).items():
            self.quantities[meter] = self.quantities.get(meter, 0) + units
        moved = used["request_bytes"] + used["response_bytes"]
        for meter, units in (("calls", 1), ("bytes_host", moved)):
            self.cloud[meter] = self.cloud.get(meter, 0) + units

    def usage_lines(self):
        """What each meter costs, and what is taken off their sum."""
        lines = {}
        for price in self.plan.prices:
            charge = price.charge(self.quantities.get(price.meter, 0))
            lines[price.meter] = lines.get(price.meter, 0) + charge
        whole = sum(lines.values())
        left = round(whole * (1 - self.plan.percent_off))
        lines["percent_off"] = left - whole
        lines["amount_off"] = -min(left, self.plan.amount_off)
        return lines

    def usage(self):
        return sum(self.usage_lines().values())


class Card:
    """The operator's rates and fee, as cloud.yaml has them; of services that run elsewhere."""

    def __init__(self, words):
        self.rates = {"calls": Fraction(nano(words["rates"]["call"])),
                      "bytes_host": Fraction(nano(words["rates"]["gib"]["host"]), 2 ** 30)}
        self.fee = Fraction(words["fee"].rstrip("%")) / 100

    def cloud(self, use):
        return sum(round(self.rates[meter] * units) for meter, units in use.cloud.items())

    def fee_of(self, usage):
        return round(self.fee * usage)
