"""Texts that hugging_face.py trains tokenizers on and asks models about."""

CORPUS = """
The parcel arrived two days late and the box was crushed, but the lamp inside still works.
I ordered a refund on Monday; nobody answered my mail, so I called the support line again.
Great service! The engineer explained every step and the new router is much faster.
How do I change the address of my account before the next invoice is written?
The battery drains within three hours, even when the phone is not used at all.
Please cancel the subscription, I don't want to pay for another month.
We're very happy with the quality, it's better than what we've had before.
The package hasn't moved since 12/03/2024, tracking number 00340-4341-7.
Our meeting is at 10:30 in room B2; bring the figures of the last quarter.
Visit https://example.org/help?page=2#top or write to help@example.org for details.
A good book and a cup of tea: what more could anyone want on a rainy evening?
The quick brown fox jumps over the lazy dog while the five boxing wizards watch.
Prices rose by 3.5 % in spring, then fell by 1.2 % in the summer of the same year.
Le café était fermé, alors nous avons mangé une crêpe près de l'hôtel de ville.
Où est la bibliothèque ? Elle a été rénovée l'année dernière, à côté du musée.
Die Straße über den Fluss ist gesperrt; größere Fahrzeuge müssen außen herum fahren.
Schöne Grüße aus München, das Wetter könnte übrigens nicht besser sein.
El niño pequeño soñó con un año nuevo lleno de música, jamón y mañanas de sol.
A saudação é simples: bom dia, como está você? Não há pão nem maçã.
Zażółć gęślą jaźń, powiedział źdźbło do żółwia w środku łąki.
Москва слезам не верит, но письмо всё равно пришло вовремя.
Быстрая лисица прыгает через ленивую собаку у реки.
今天天气很好，我们去公园散步吧。
東京の夏は暑いですが、冬は寒いです。
한국어 문장은 띄어쓰기를 합니다.
Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.
""".strip().splitlines()

# What tokenizers treat each in their own way.
SINGLE = [
    "The battery drains within three hours.",
    "Great service! The new router is much faster, we're very happy.",
    "  two  spaces,\ta tab\nand a new line  ",
    "Le café était fermé; Die Straße ist gesperrt: ÀÉÎÕÜ ß ñ ł ø",
    "cafe\u0301 with a combining accent, ﬁne ligature, ½ and ①",
    "今天天气很好 東京 한국어 mixed with English",
    "emoji 😀👍🏽 and a family 👨‍👩‍👧, a flag 🇫🇷",
    "don't, it's; we've (10:30) — “quoted” … e-mail: help@example.org 3.5 %",
    "zero\u200bwidth, non\u00a0breaking, soft\u00adhyphen and \u0007bell",
    "UPPER lower MiXeD Ünïcödé",
    "[SEP] and </s> and <mask> are special to some",
    "x",
]

PAIRS = [
    ("How do I change the address?", "Write to help@example.org before the next invoice."),
    ("Where is the parcel", "Où est la bibliothèque ?"),
    ("今天天气很好", "The weather is good today 😀"),
]

LONG = " ".join(CORPUS[:6])
# Both too long, one alone, in either place.
LONG_PAIRS = [(LONG, " ".join(CORPUS[6:12])), ("Which one?", LONG), (LONG, "The short one.")]
