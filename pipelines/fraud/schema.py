"""What a row of the data is: the features in the model's order with their ranges, and the label."""

from dataclasses import asdict, dataclass

NAME = "fraud-detector"
LABELS = ["legitimate", "fraud"]
LABEL = "is_fraud"
ANY, ONE = float("inf"), 1.0


@dataclass(frozen=True)
class Column:
    """A column of numbers: `number`, `whole` (without a fraction) or `flag` (0 or 1), from minimum to maximum."""

    name: str
    kind: str = "number"
    minimum: float = 0.0
    maximum: float = ANY

    def wanted(self):
        """What a value must be, in words."""
        if self.kind == "flag":
            return "0 or 1"
        of = "a whole number" if self.kind == "whole" else "a number"
        if self.maximum == ANY:
            return f"{of} of at least {self.minimum:g}"
        return f"{of} from {self.minimum:g} to {self.maximum:g}"

    def as_json(self):
        """For schema.json, which knows no infinity."""
        return {**asdict(self), "type": "float32", "maximum": None if self.maximum == ANY else self.maximum}


def _flag(name):
    return Column(name, "flag", 0, 1)


def _score(name):
    return Column(name, maximum=ONE)


COLUMNS = [
    Column("amount"),
    Column("amount_to_average"),
    Column("hour_of_day", "whole", 0, 23),
    Column("day_of_week", "whole", 0, 6),
    _flag("is_night"),
    _score("merchant_risk_score"),
    Column("merchant_age_days", "whole"),
    _score("category_risk_score"),
    _flag("is_new_merchant"),
    Column("distance_from_home_km"),
    Column("distance_from_last_km"),
    Column("minutes_since_last", "whole"),
    Column("speed_since_last_kmh"),
    Column("transactions_last_hour", "whole"),
    Column("transactions_last_day", "whole"),
    Column("amount_last_day"),
    Column("declines_last_day", "whole"),
    Column("failed_pins_last_day", "whole"),
    Column("card_age_days", "whole"),
    Column("account_age_days", "whole"),
    Column("customer_age_years", "whole", 0, 130),
    Column("credit_limit"),
    Column("limit_used_ratio", maximum=10),
    _flag("is_foreign"),
    _flag("is_online"),
    _flag("card_present"),
    _flag("pin_verified"),
    _flag("strong_authentication"),
    _flag("is_new_device"),
    _score("ip_risk_score"),
]
FEATURES = [it.name for it in COLUMNS]
TABLE = [*COLUMNS, _flag(LABEL)]


def described():
    """The schema as it is written beside the data."""
    return {"features": [it.as_json() for it in COLUMNS], "label": {**_flag(LABEL).as_json(), "type": "int64"}, "labels": LABELS}
