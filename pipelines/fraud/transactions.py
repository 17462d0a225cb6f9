"""Card payments that this file makes up from a seed; no real card, person or merchant is in them.

The labels overlap on purpose: some fraud looks ordinary and some honest payments look strange, so the metrics are those of a
task that can't be solved completely.
"""

import numpy as np

from .schema import FEATURES

FRAUD_RATE = 0.05
LABEL_NOISE = 0.002


def generate(rows, rng):
    """Returns (features as FP32, label): four kinds of fraud mixed into ordinary payments."""
    fraud = rng.random(rows) < FRAUD_RATE
    # 0: honest; 1: stolen card used in shops; 2: card data used online; 3: account taken over; 4: small test charges
    kind = np.where(fraud, rng.choice([1, 2, 3, 4], rows, p=[0.3, 0.4, 0.2, 0.1]), 0)
    # How far this payment follows its kind's pattern: a low value is fraud that looks ordinary. A few
    # honest payments (travel, gifts, moving house) follow a fraud's pattern for part of the way.
    strength = np.where(fraud, rng.beta(3.2, 1.2, rows), 0.0)
    odd = ~fraud & (rng.random(rows) < 0.04)
    kind = np.where(odd, rng.choice([1, 2, 3, 4], rows, p=[0.4, 0.4, 0.1, 0.1]), kind)
    strength = np.where(odd, rng.beta(1.2, 3.0, rows), strength)
    f = {}
    _cardholder(f, rows, rng, kind, strength)
    _payment(f, rows, rng, kind, strength)
    _place_and_time(f, rows, rng, kind, strength)
    _history(f, rows, rng, kind, strength)
    flipped = rng.random(rows) < LABEL_NOISE
    features = np.stack([np.round(f[name].astype(np.float64), 3) for name in FEATURES], axis=1).astype(np.float32)
    return features, (fraud ^ flipped).astype(np.int64)


def _on(kind, strength, **weights):
    """The pull of each kind's pattern on one feature: its weight times the payment's strength."""
    table = np.array([0.0, weights.get("shop", 0), weights.get("online", 0), weights.get("takeover", 0),
                      weights.get("test", 0)])
    return table[kind] * strength


def _cardholder(f, rows, rng, kind, strength):
    f["customer_age_years"] = np.clip(np.round(rng.normal(44, 15, rows)), 18, 95)
    f["account_age_days"] = np.round(rng.gamma(2.0, 900, rows)) + 30
    f["card_age_days"] = np.round(np.minimum(rng.uniform(1, 1460, rows), f["account_age_days"]))
    f["credit_limit"] = np.round(np.exp(rng.normal(8.3, 0.6, rows)) / 100) * 100
    base = rng.beta(2, 5, rows)
    f["limit_used_ratio"] = np.clip(base + _on(kind, strength, shop=0.25, online=0.2, takeover=0.5), 0, 1.2)


def _payment(f, rows, rng, kind, strength):
    average = np.exp(rng.normal(3.6, 0.5, rows))
    log_ratio = rng.normal(-0.2, 0.8, rows) + _on(kind, strength, shop=1.1, online=1.4, takeover=2.2, test=-2.4)
    f["amount"] = np.maximum(np.round(average * np.exp(log_ratio), 2), 0.5)
    f["amount_to_average"] = f["amount"] / average
    online = rng.random(rows) < np.clip(0.35 + _on(kind, strength, shop=-0.35, online=0.65, takeover=0.5, test=0.6),
                                        0.01, 0.99)
    f["is_online"] = online.astype(float)
    f["card_present"] = (~online & (rng.random(rows) < 0.97)).astype(float)
    pin = rng.random(rows) < 0.8 - _on(kind, strength, shop=0.55)
    f["pin_verified"] = (f["card_present"] > 0) * pin
    f["strong_authentication"] = online * (rng.random(rows) < 0.55 - _on(kind, strength, online=0.5, test=0.5))
    f["is_new_device"] = online * (rng.random(rows) < 0.08 + _on(kind, strength, online=0.6, takeover=0.75, test=0.5))
    ip = rng.beta(1.5, 8, rows) + _on(kind, strength, online=0.4, takeover=0.35, test=0.45) * rng.random(rows)
    f["ip_risk_score"] = np.where(online, np.clip(ip, 0, 1), 0.0)
    f["merchant_risk_score"] = np.clip(
        rng.beta(2, 7, rows) + _on(kind, strength, shop=0.2, online=0.3, takeover=0.2, test=0.35) * rng.random(rows),
        0, 1)
    f["category_risk_score"] = np.clip(rng.beta(2, 5, rows) + _on(kind, strength, shop=0.3, online=0.25, takeover=0.3),
                                       0, 1)
    f["merchant_age_days"] = np.round(rng.gamma(1.6, 900, rows) * (1 - _on(kind, strength, online=0.6, test=0.6)) + 5)
    f["is_new_merchant"] = (rng.random(rows) < 0.3 + _on(kind, strength, shop=0.5, online=0.6, takeover=0.5, test=0.6)) * 1.0


def _place_and_time(f, rows, rng, kind, strength):
    pull = _on(kind, strength, shop=0.45, online=0.35, takeover=0.2, test=0.3)
    night = rng.random(rows) < 0.05 + pull
    f["hour_of_day"] = np.where(night, rng.integers(0, 6, rows), np.clip(np.round(rng.normal(14.5, 4, rows)), 6, 23))
    f["is_night"] = (f["hour_of_day"] < 6).astype(float)
    f["day_of_week"] = rng.integers(0, 7, rows).astype(float)
    abroad = rng.random(rows) < 0.05 + _on(kind, strength, shop=0.35, online=0.45, takeover=0.2, test=0.4)
    f["is_foreign"] = abroad.astype(float)
    far = np.exp(rng.normal(1.8, 1.2, rows) + _on(kind, strength, shop=1.8, online=0.8))
    f["distance_from_home_km"] = np.where(abroad, rng.uniform(300, 9000, rows), np.minimum(far, 900))
    f["minutes_since_last"] = np.round(rng.exponential(700, rows) * (1 - _on(kind, strength, shop=0.8, online=0.75,
                                                                             takeover=0.5, test=0.9)) + 1)
    f["distance_from_last_km"] = f["distance_from_home_km"] * rng.uniform(0.2, 1.1, rows)
    f["speed_since_last_kmh"] = np.minimum(f["distance_from_last_km"] / (f["minutes_since_last"] / 60), 20000)


def _history(f, rows, rng, kind, strength):
    pull = _on(kind, strength, shop=2.0, online=2.5, takeover=1.5, test=5.0)
    f["transactions_last_hour"] = rng.poisson(0.25 + pull).astype(float)
    f["transactions_last_day"] = f["transactions_last_hour"] + rng.poisson(2.2 + pull)
    f["amount_last_day"] = np.round(f["amount"] * rng.uniform(0.2, 1.2, rows) * (1 + f["transactions_last_day"]) * 0.6, 2)
    f["declines_last_day"] = rng.poisson(0.06 + _on(kind, strength, shop=0.6, online=1.0, takeover=0.4, test=1.5)) * 1.0
    f["failed_pins_last_day"] = rng.poisson(0.03 + _on(kind, strength, shop=0.9, takeover=0.3)) * 1.0
