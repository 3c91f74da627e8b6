"""Writes strings that are hard to tokenize, one JSON string per line. Every run writes the same strings.

    make_tokenizer_lines.py OUT.jsonl      (Python 3.11 with Unicode 14.0; other versions may write other letters)

Letters are drawn from Unicode blocks at random, so the words have no meaning; the characters are those that Unicode
defines. Characters that would be unreadable or break the line are escaped.
"""

import json, random, sys, unicodedata

R = random.Random(20260101)

# The first and last code point of the letters of each script; unassigned ones and other categories are skipped.
SCRIPTS = {
    "latin": (0x61, 0x7A),
    "latin-1": (0xC0, 0xFF),
    "latin extended": (0x100, 0x24F),
    "vietnamese": (0x1EA0, 0x1EF9),
    "ipa": (0x250, 0x2AF),
    "greek": (0x386, 0x3CE),
    "polytonic greek": (0x1F00, 0x1FFC),
    "coptic": (0x2C80, 0x2CE3),
    "cyrillic": (0x400, 0x45F),
    "cyrillic extended": (0x460, 0x52F),
    "armenian": (0x531, 0x586),
    "hebrew": (0x5D0, 0x5EA),
    "arabic": (0x620, 0x64A),
    "arabic extended": (0x671, 0x6D3),
    "syriac": (0x710, 0x72F),
    "thaana": (0x780, 0x7A5),
    "nko": (0x7CA, 0x7EA),
    "devanagari": (0x900, 0x94F),
    "bengali": (0x981, 0x9CE),
    "gurmukhi": (0xA01, 0xA4D),
    "gujarati": (0xA81, 0xACD),
    "tamil": (0xB82, 0xBCD),
    "telugu": (0xC01, 0xC4D),
    "kannada": (0xC81, 0xCCD),
    "malayalam": (0xD02, 0xD4D),
    "sinhala": (0xD82, 0xDDF),
    "thai": (0xE01, 0xE4E),
    "lao": (0xE81, 0xECD),
    "tibetan": (0xF40, 0xFBC),
    "myanmar": (0x1000, 0x103E),
    "georgian": (0x10D0, 0x10FA),
    "georgian capital": (0x1C90, 0x1CBA),
    "jamo": (0x1100, 0x11C2),
    "hangul": (0xAC00, 0xD7A3),
    "ethiopic": (0x1200, 0x1357),
    "cherokee": (0x13A0, 0x13F5),
    "khmer": (0x1780, 0x17D3),
    "mongolian": (0x1820, 0x1878),
    "hiragana": (0x3041, 0x3096),
    "katakana": (0x30A1, 0x30FA),
    "halfwidth": (0xFF66, 0xFF9D),
    "fullwidth": (0xFF21, 0xFF5A),
    "cjk": (0x4E00, 0x9FFF),
    "cjk extension a": (0x3400, 0x4DB5),
    "cjk extension b": (0x20000, 0x2A6D6),
    "gothic": (0x10330, 0x1034A),
    "deseret": (0x10400, 0x1044F),
    "cuneiform": (0x12000, 0x1236E),
    "mathematical": (0x1D400, 0x1D7CB),
    "adlam": (0x1E900, 0x1E94B),
    "yi": (0xA000, 0xA48C),
    "ogham": (0x1681, 0x169A),
    "runic": (0x16A0, 0x16EA),
}
LETTERS = {
    name: [c for c in map(chr, range(a, b + 1)) if unicodedata.category(c)[0] in "LM"]
    for name, (a, b) in SCRIPTS.items()
}
UNSPACED = {"thai", "lao", "khmer", "myanmar", "hiragana", "katakana", "cjk", "cjk extension a", "cjk extension b"}
ZERO_DIGITS = [0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xBE6, 0xE50, 0xF20, 0x1040, 0x17E0, 0xFF10, 0x1D7CE, 0x1E950]
OTHER_NUMBERS = "²³¹½¾⅓Ⅷⅻⅿ①⑳㉟㊿一二三〇万۰௧௨௲፩፼𐄇𝟘𝟡"
SPACES = [
    " ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\v",
    "\f",
    "\x1c",
    "\x85",
    "\xa0",
    "\u1680",
    "\u2002",
    "\u2003",
    "\u2009",
    "\u200a",
    "\u2028",
    "\u2029",
    "\u202f",
    "\u205f",
    "\u3000",
]
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\ufeff", "\xad", "\u180e", "\u202e", "\u2066"]
PUNCTUATION = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + list(
    "¡¿«»„“”‘’‚…–—·•†‡§¶、。「」『』《》？！،؛؟।॥᠃᙮።፣־׳״€£¥₹₿°±×÷≤≠∞∑∫→⇒⊕√"
)
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
]
CONTRACTIONS = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'Ve",
    "'lL",
    "'ſ",
    "’s",
    "'x",
    "''s",
    "'st",
    "'r",
    "'l",
]
HANDS, SKINS = "👋👍🙏👩👨🧑🏃💪✊", "🏻🏼🏽🏾🏿"
FACES = [chr(c) for c in range(0x1F600, 0x1F650)] + [chr(c) for c in range(0x1F680, 0x1F6A0)]
COMBINING = [chr(c) for c in [*range(0x300, 0x345), 0x20D7, 0x20E3, 0xFE0F, 0x5B4, 0x64E, 0x93C, 0xE48, 0x3099, 0x1DC4]]

CODE = [
    "def f_{n}(x, *args, **kw):\n    return [i ** 2 for i in range({n}) if i % 3 != 0]\n",
    'fn main() {{\n\tlet v{n}: Vec<u8> = vec![0x{n:02X}; {n}];\n\tprintln!("{{:?}}", &v{n}[..]);\n}}',
    "for (int i = 0; i < {n}; ++i) {{ a[i] |= 1u << (i & 31); }} // {n}\r\n",
    "const g{n} = async ({{ a, b }}) => `${{a}}-${{b}}` ?? null;",
    "SELECT t.id, COUNT(*) AS n FROM t{n} t WHERE t.x >= {n}.5e-3 GROUP BY 1;",
    '#!/bin/sh\nset -eu; for f in *.txt; do grep -c "^{n}" "$f" || :; done',
    "<div class=\"c{n}\"><a href='#x?y={n}&amp;z'>&#x{n:X};</a><br/></div>",
    '{{"k{n}": [1, -2.5e{n}, true, null, "\\u00e9\\n"], "": {{}}}}',
    "\\begin{{align}} \\frac{{x_{{{n}}}}}{{2}} &\\leq \\sum_{{i=0}}^{{{n}}} \\alpha_i \\end{{align}}",
    "template<class T{n}> auto operator<=>(const T{n}&) const -> bool;",
    "| a | b{n} |\n|---|:-:|\n| `x` | **{n}** |\n",
    "https://example.org:{n}/p/a%20b?q={n}&r[]=#frag-{n}",
    "   if x{n}:\n        y\n\n\n    else:\n\t  z  \n",
    "0x{n:08x} 0b{n:b} {n}_000 {n}.{n}e+{n} {n:,} -{n} +{n} {n}% №{n} v{n}.{n}.{n}-rc.{n}",
    "C:\\\\dir{n}\\file.txt; /usr/lib/x{n}.so.{n} ~/.a{n}rc a{n}@example.com",
    "main = print . sum . takeWhile (< {n}) $ map (^2) [1..]  -- {n}",
]

# Texts like those the bundled model was trained with, so that its merges are used and not only its bytes.
KNOWN = (
    "what is the capital of country write carry borrow add compute spell reverse word backwards letters are name color "
    "favorite remember hello user wants to know me tiny model can subtract your my i am who which has Paris Nairobi"
).split()


def known():
    words = [
        R.choice([w, w, w, w.title(), w.upper(), w + R.choice(CONTRACTIONS)])
        for w in R.choices(KNOWN, k=R.randint(1, 12))
    ]
    return "".join(w + R.choice([" "] * 9 + ["", "  ", ", ", ". ", "? ", "\n", "; "]) for w in words).rstrip(
        R.choice(["", " "])
    )


def word(script=None, least=1, most=9):
    letters = LETTERS[script or R.choice(list(SCRIPTS))]
    text = "".join(R.choices(letters, k=R.randint(least, most)))
    return R.choice([text, text, text.upper(), text.title()])


def phrase(script):
    """Words of one script, with its usual separators."""
    between = ["", "", "", "、", "。", " "] if script in UNSPACED else [" "] * 8 + [", ", ". ", "  ", "-", "'", " ("]
    return "".join(word(script) + R.choice(between) for _ in range(R.randint(2, 8)))


def digits():
    zero = R.choice(ZERO_DIGITS)
    number = "".join(chr(zero + R.randrange(10)) for _ in range(R.randint(1, 12)))
    return R.choice(
        [
            number,
            number + R.choice(OTHER_NUMBERS),
            R.choice(".,-+ ").join([number[:3], number[3:]]),
            word("latin") + number,
            number + word(),
            "".join(R.choices(OTHER_NUMBERS, k=4)),
        ]
    )


def emoji():
    hand = R.choice(HANDS) + R.choice(["", R.choice(SKINS)])
    return R.choice(
        [
            R.choice(FACES) * R.randint(1, 4),
            hand,
            hand + "\u200d" + R.choice("🚀💻🎨🔬⚕♀♂") + "\ufe0f",
            "\u200d".join(R.choices("👨👩👧👦", k=R.randint(2, 4))),
            R.choice("0123456789#*") + "\ufe0f\u20e3",
            "".join(chr(0x1F1E6 + R.randrange(26)) for _ in range(R.randint(1, 4))),
            "❤\ufe0f\u200d🔥",
            "🏴\U000e0067\U000e0062\U000e007f",
            R.choice("☀☎♥✔") + R.choice(["", "\ufe0e", "\ufe0f"]),
            R.choice(SKINS),
            "\u200d" + R.choice(FACES),
        ]
    )


def marked():
    """One text, composed or not; sometimes a mark has no letter before it."""
    base = R.choice(
        [
            word("latin-1"),
            word("vietnamese"),
            word("polytonic greek"),
            word("hangul"),
            word("devanagari"),
            "ÅÅ",
            "ﬁﬂ",
            "ǅ",
            "ẞß",
            "İiı",
            "がぎ",
            "ガギ",
            "한글",
            "\u0958\u0959",
            "\u2126\u212a",
        ]
    )
    text = unicodedata.normalize(R.choice(["NFC", "NFD", "NFKD"]), base)
    if R.random() < 0.6:
        at = R.randint(0, len(text))
        text = text[:at] + "".join(R.choices(COMBINING, k=R.randint(1, 4))) + text[at:]
    return text


def space():
    return (
        "".join(R.choices(SPACES, k=R.randint(1, 4)))
        if R.random() < 0.6
        else R.choice([" ", "\n", "\t", " \n", "\u3000"]) * R.randint(1, 17)
    )


def special():
    token = R.choice(SPECIAL)
    part = R.choice(
        [
            token[: R.randint(1, len(token) - 1)],
            token[R.randint(1, len(token) - 1) :],
            token.upper(),
            token.replace("_", " "),
            token[0] + " " + token[1:],
            "<" + token,
            token + token,
            token[:-1] + "\u200b>",
        ]
    )
    return R.choice([token, part])


def control():
    return "".join(
        R.choices(
            [chr(c) for c in range(1, 32)]
            + [
                "\x7f",
                "\x80",
                "\x9f",
                "\ufffd",
                "\ufffe",
                "\uffff",
                *INVISIBLE,
                "\ue000",
                "\uf8ff",
                "\U000f0000",
                "\U0010fffd",
                "\U0001fffe",
            ],
            k=R.randint(1, 4),
        )
    )


def contraction():
    return (
        word(R.choice(["latin", "latin", "latin-1", "cyrillic"]))
        + R.choice(CONTRACTIONS)
        + R.choice(["", " ", ".", word("latin")])
    )


def code():
    return R.choice(CODE).format(n=R.choice([0, 1, 7, 10, 42, 255, 1024, 65535, R.randrange(10**6)]))


def punctuation():
    return "".join(R.choices(PUNCTUATION, k=R.randint(1, 6))) + R.choice(["", "\n", "\r\n\n", " "])


def anything():
    """Any assigned or unassigned code point except surrogates and NUL."""
    points = (
        R.choice([R.randrange(1, 0xD800), R.randrange(0xE000, 0x10000), R.randrange(0x10000, 0x110000)])
        for _ in range(R.randint(1, 8))
    )
    return "".join(map(chr, points))


PARTS = [known, word, digits, emoji, marked, space, special, control, contraction, code, punctuation]


def mixture():
    return "".join(R.choice([R.choice(PARTS)(), " ", word("latin")]) for _ in range(R.randint(2, 6)))


def lines():
    for script in SCRIPTS:
        for _ in range(14):
            yield phrase(script)
    for make, count in [
        (digits, 200),
        (emoji, 160),
        (marked, 240),
        (space, 120),
        (special, 200),
        (control, 120),
        (contraction, 160),
        (code, 160),
        (punctuation, 160),
        (anything, 160),
        (mixture, 480),
        (known, 200),
    ]:
        for _ in range(count):
            yield make()
    for _ in range(120):  # white space at the edges and between
        yield space() + word() + space() + R.choice(PARTS)() + space()
    for letters in ("a", "ab", "é", "ж", "漢", "한", "ก", "😀", "0", " ", "\n", "=", "-", "\u0301", "ſ"):
        for length in (1, 2, 3, 64, 200):
            yield letters * (length // len(letters) or 1)
    yield from SPACES + INVISIBLE + SPECIAL + CONTRACTIONS + [""]
    for _ in range(6):
        yield word("latin", 400, 500)


with open(sys.argv[1], "w", encoding="utf-8", newline="\n") as f:
    for line in dict.fromkeys(lines()):  # each once, in order
        # Escape characters that could confuse a reader or an editor.
        raw = json.dumps(line, ensure_ascii=False)
        f.write((raw if raw.isprintable() else json.dumps(line)) + "\n")
