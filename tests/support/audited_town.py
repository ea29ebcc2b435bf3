"""A random town of providers and callers, made from a seed, and what its calls must have cost.

The books are kept from outside: what callers sent and received, what services reported, and what
was paid in. Only a service's time, which nobody outside can know to the microsecond, is taken from
the journal.
"""

import asyncio
import random
from collections import defaultdict

import yaml
from books import check_books, settle
from callers import ask
from cloud import Cloud, upstream_manifest
from rating_model import NANO, Card, Plan, Use, nano
from upstream import Answer, CountingUpstream

UNITS = ("pixels", "tokens")
STATUSES = (200, 200, 200, 200, 200, 200, 404, 500)
CALLERS = 8


def decimal(nanos):
    return f"{nanos // NANO}.{nanos % NANO:09d}"


def random_card(dice):
    return {"rates": {"call": decimal(dice.randrange(3000)), "gib_second": "0.0000125",
                      "vcpu_second": "0.00002",
                      "gib": {"host": decimal(dice.randrange(NANO)), "zone": "0.001",
                              "cloud": "0.01", "intercloud": "0.05"}},
            "fee": f"{dice.randrange(0, 30)}.{dice.randrange(10000):04d}%"}


def random_rate(dice):
    if dice.random() < 0.5:
        return decimal(dice.randrange(1, 10 ** 5))
    return f"{decimal(dice.randrange(1, 10 ** 9))} per {dice.choice(['7', '1k', '1M', '333'])}"


def random_price(dice, meter):
    model = dice.choice(["unit", "unit", "package", "graduated"])
    price = {"meter": meter, "model": model}
    if dice.random() < 0.5:
        price["free"] = dice.randrange(1, 5000)
    if dice.random() < 0.3:
        price["minimum"] = decimal(dice.randrange(1, NANO))
    if meter in UNITS and dice.random() < 0.3:
        price["max_per_call"] = decimal(dice.randrange(10 ** 8, 10 ** 9))
    if model == "package":
        return price | {"size": dice.randrange(1, 2000), "price": decimal(dice.randrange(10 ** 6))}
    if model == "unit":
        return price | {"price": random_rate(dice)}
    bounds = sorted(dice.sample(range(1, 100000), dice.randrange(1, 4)))
    tiers = [{"up_to": bound, "price": random_rate(dice)} for bound in bounds]
    return price | {"tiers": [*tiers, {"price": random_rate(dice)}]}


def random_plan(dice):
    """A call costs at most 0.5, and often more than that would buy."""
    prices = [{"meter": "calls", "model": "unit", "price": decimal(dice.randrange(10 ** 6))}]
    if dice.random() < 0.3:
        prices.append({"model": "flat", "price": decimal(dice.randrange(10 ** 9))})
    others = ["request_bytes", "response_bytes", "duration_ms", *UNITS]
    for meter in dice.sample(others, dice.randrange(0, 4)):
        prices.append(random_price(dice, meter))
    plan = {"prices": prices, "max_charge": decimal(dice.randrange(2 * 10 ** 6, 5 * 10 ** 8))}
    if dice.random() < 0.5:
        plan["max_units"] = {unit: dice.randrange(1, 3000) for unit in UNITS}
    if dice.random() < 0.3:
        plan["bill_on"] = "always"
    if dice.random() < 0.5:
        discounts = [f"{dice.randrange(100)}.{dice.randrange(100):02d}%",
                     decimal(dice.randrange(NANO))]
        plan["discount"] = dice.choice([*discounts, discounts])
    return plan


def answer_to(nonce):
    """A service's answer, and the units in it: they follow from the nonce alone, so that the books
    can tell them too."""
    dice = random.Random(nonce)
    reported = {unit: dice.randrange(4000) for unit in UNITS if dice.random() < 0.6}
    body = nonce.encode() + b"." * dice.randrange(3000)
    told = ", ".join(f"{unit}={count}" for unit, count in reported.items())
    return Answer(status=dice.choice(STATUSES), body=body, units=told or None), reported


class Town:
    def __init__(self, seed, folder):
        self.seed = seed
        self.dice = random.Random(seed)
        words = random_card(self.dice)
        self.card = Card(words)
        config = {"name": "audit", "currency": "USD", "workers": 2, **words}
        self.cloud = Cloud(folder, yaml.safe_dump(config, sort_keys=False))
        self.upstream = CountingUpstream(lambda request: answer_to(request.nonce)[0])
        self.plans = {}  # (service, plan) -> Plan
        self.subscribed = {}  # (app, service) -> (plan's name, Use)
        self.uses = []  # all, ended ones too: (account, provider, Use)
        self.keys = {}  # app -> key
        self.paid_in = defaultdict(int)  # account -> nano
        self.number = 0
        self.refused = 0  # calls, for want of money

    # ---- who is there

    def settle_down(self):
        for provider in ("north", "south"):
            self.cloud.account(provider)
        for index in range(4):
            service, provider = f"service-{index}", ("north", "south")[index % 2]
            plans = {name: random_plan(self.dice) for name in ("basic", "plus")}
            self.plans |= {(service, name): Plan(plan) for name, plan in plans.items()}
            self.cloud.publish(upstream_manifest(
                service, self.upstream.address, plans,
                {unit: {"reported_by": "Stoa-Units", "unit": unit[:-1]} for unit in UNITS}),
                provider)
        for index in range(3):
            account = f"buyer-{index}"
            self.cloud.account(account)
            # The last one may well run out of money on the way.
            self.fund(account, 1000 * NANO if index < 2 else self.dice.randrange(NANO, 4 * NANO))
            for app in (f"{account}/one", f"{account}/two"):
                self.keys[app] = self.cloud.app_with_key(app)
                for service in self.dice.sample(range(4), 2):
                    self.subscribe(app, f"service-{service}")

    def fund(self, account, amount):
        self.cloud.fund(account, decimal(amount))
        self.paid_in[account] += amount

    def subscribe(self, app, service):
        name = self.dice.choice(["basic", "plus"])
        self.cloud.subscribe(app, service, name)
        if self.subscribed.get((app, service), (None,))[0] == name:
            return
        use = Use(self.plans[service, name])
        self.subscribed[app, service] = name, use
        provider = ("north", "south")[int(service[-1]) % 2]
        self.uses.append((app.split("/")[0], provider, use))

    # ---- what they do

    async def caller(self, calls, done):
        host, port = self.cloud.gateway.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        while calls:
            app, service, nonce, body = calls.pop()
            done.append((app, service, nonce, body,
                         await ask(reader, writer, service, self.keys[app], nonce, "POST", body)))
        writer.close()

    def trade(self, count):
        """So many calls at once, of everybody to all that they subscribed to."""
        places = sorted(self.subscribed)
        calls, done = [], []
        for _ in range(count):
            self.number += 1
            calls.append((*self.dice.choice(places), f"{self.seed}-{self.number}",
                          self.dice.randbytes(self.dice.randrange(2000))))

        async def everybody():
            await asyncio.gather(*(self.caller(calls, done) for _ in range(CALLERS)))

        asyncio.run(everybody())
        assert len(done) == count
        settle(self.cloud)
        service_us = {record["call"]: record["service_us"] for record in self.cloud.journal()}
        for app, service, nonce, body, (status, fields, received) in done:
            if status == 402:
                self.refused += 1
                continue
            assert received.decode().rstrip(".") == nonce, (status, received[:200])
            use = self.subscribed[app, service][1]
            if not use.plan.bills(status):
                continue
            time_us = service_us[fields["stoa-call"]]
            use.add({"calls": 1, "request_bytes": len(body), "response_bytes": len(received),
                     "duration_ms": -(-time_us // 1000), **dict.fromkeys(UNITS, 0),
                     **answer_to(nonce)[1]})

    # ---- what it must have come to

    def audit(self):
        check_books(self.cloud)
        expected = defaultdict(int)
        for account, amount in self.paid_in.items():
            expected[account] += amount
            expected["outside"] -= amount
        for account, provider, use in self.uses:
            usage, cloud = use.usage(), self.card.cloud(use)
            fee = self.card.fee_of(usage)
            expected[account] -= usage + cloud
            expected[provider] += usage - fee
            expected["operator"] += cloud + fee
        assert sum(expected.values()) == 0
        found = {account["name"]: nano(account["credits_posted"]) - nano(account["debits_posted"])
                 for account in self.cloud.ledger()["accounts"] if account["ledger"] == 1}
        assert {name: amount for name, amount in found.items() if amount} == \
            {name: amount for name, amount in expected.items() if amount}, f"seed {self.seed}"
        for account in self.paid_in:
            self.audit_statement(account)

    def audit_statement(self, account):
        """Each quantity and each amount of a consumer's lines, by kind and meter."""
        found, expected = defaultdict(int), defaultdict(int)
        for line in self.cloud.statement(account)["lines"]:
            of = line["model"] if line["model"].endswith("_off") else line["meter"]
            found[line["kind"], of] += nano(line["amount"])
        for owner, _, use in self.uses:
            if owner != account:
                continue
            for meter, amount in use.usage_lines().items():
                expected["usage", meter] += amount
            for meter, units in use.cloud.items():
                expected["cloud", meter] += round(self.card.rates[meter] * units)
        wrong = {line: (found[line], expected[line]) for line in {*found, *expected}
                 if found[line] != expected[line]}
        assert not wrong, f"seed {self.seed}: found and expected differ: {wrong}"

    # ---- a life

    def live(self, rounds, calls):
        with self.upstream, self.cloud:
            self.settle_down()
            for _ in range(rounds):
                self.trade(calls)
                self.audit()
                chance = self.dice.random()
                if chance < 0.4:
                    self.subscribe(*self.dice.choice(sorted(self.subscribed)))
                elif chance < 0.6:
                    self.fund(f"buyer-{self.dice.randrange(3)}", self.dice.randrange(1, NANO))
                elif chance < 0.8:
                    self.cloud.kill9()
                    self.cloud.start()
                    self.audit()
