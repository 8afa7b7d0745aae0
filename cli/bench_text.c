/* SPDX-License-Identifier: MIT */
/* The text that bench --tokenizer encodes when none is given: half of it English prose, the rest
 * code, other languages, numbers and signs, in an order drawn once from a fixed generator. */
#include "cli/bench_tokenizer.h"
#include <string.h>

static const char *const prose[] = {
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "you",
    "that",
    "it",
    "he",
    "was",
    "for",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "word",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
    "make",
    "like",
    "him",
    "into",
    "time",
    "has",
    "look",
    "two",
    "more",
    "write",
    "go",
    "see",
    "number",
    "no",
    "way",
    "could",
    "people",
    "my",
    "than",
    "first",
    "water",
    "been",
    "call",
    "who",
    "its",
    "now",
    "find",
    "long",
    "down",
    "day",
    "did",
    "get",
    "come",
    "made",
    "may",
    "part",
    "don't",
    "we'll",
    "it's",
    "language",
    "model",
    "engine",
    "sentence",
    "tokenizer",
    "through",
    "another",
    "different",
    "between",
    "important",
    "question",
    "understand",
    "information",
    "development",
    "international",
    "responsibility",
    "nevertheless",
    "characteristic",
    "misunderstanding",
    "Wednesday",
    "Europe",
    "Cambridge",
    "October",
};

static const char *const passages[] = {
    "static int compare(const void *a, const void *b)\n{\n    return *(const int *)a - *(const "
    "int *)b;\n}\n",
    "def fibonacci(n: int) -> list[int]:\n    a, b = 0, 1\n    out = []\n    while len(out) < n:\n"
    "        out.append(a)\n        a, b = b, a + b\n    return out\n",
    "for (let i = 0; i < items.length; i++) {\n\tconsole.log(`${i}: ${items[i].name}`);\n}\n",
    "{\"id\": 4711, \"name\": \"kettle\", \"price\": 19.95, \"tags\": [\"new\", \"sale\"], "
    "\"ok\": true}\n",
    "SELECT name, COUNT(*) FROM orders WHERE created_at >= '2024-01-31' GROUP BY name;\n",
    "<div class=\"card\"><a href=\"https://example.org/a/b?c=1&d=2\">read on</a></div>\n",
    "| year | sum |\n|-----:|----:|\n| 1999 | 1,024.50 |\n| 2026 | 31,415,926 |\n\n",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, während es regnet.\n",
    "Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis, n'est-ce pas ?\n",
    "El veloz murciélago hindú comía feliz cardillo y kiwi. ¿Dónde está la cigüeña?\n",
    "Съешь же ещё этих мягких французских булок, да выпей чаю; завтра будет поздно.\n",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και μετά πηγαίνω στην αγορά για ψωμί.\n",
    "我能吞下玻璃而不伤身体。今天的天气很好，我们一起去公园散步吧！\n",
    "いろはにほへと ちりぬるを。東京タワーへ行って、写真を撮りました。\n",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.\n",
    "صِف خَلقَ خَودِ كَمِثلِ الشَمسِ إِذ بَزَغَت، والكتاب على الطاولة.\n",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले।\n",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน\n",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה, ואז הלך הביתה.\n",
    "Pijamalı hasta yağız şoföre çabucak güvendi; İstanbul'da hava güneşli.\n",
    "Thanks 🙏🏽 see you 👩‍👩‍👧‍👦 at 10:30 🎉🎉🎉\n",
    "Bring 2½ kg of flour — OK? 🇩🇪🇯🇵\n",
    "E = mc² ≈ 9·10¹⁶ J; ∀x∈ℝ: x² ≥ 0; 3.14159265358979323846 and 0xDEADBEEF.\n",
};

static uint32_t draw(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % n;
}

static void put_sentence(struct str *out, uint32_t *state)
{
    const uint32_t words = 6 + draw(state, 16);

    for (uint32_t i = 0; i < words; i++) {
        const char *word = prose[draw(state, COUNT(prose))];

        if (i) str_put(out, draw(state, 12) ? " " : ", ");
        if (i == 0) {
            str_put_char(out, (char)(word[0] >= 'a' && word[0] <= 'z' ? word[0] - 32 : word[0]));
            str_put(out, word + 1);
        } else {
            str_put(out, word);
        }
    }
    str_put(out, draw(state, 8) ? ". " : "?\n\n");
}

void bench_text(struct str *out, size_t n)
{
    uint32_t state = 20240229;

    str_clear(out);
    while (out->len < n && !out->failed) {
        const size_t before = out->len;
        const char *passage = passages[draw(&state, COUNT(passages))];

        str_put(out, passage);
        for (const size_t half = out->len - before; out->len - before < 2 * half;)
            put_sentence(out, &state);
    }
    if (out->len > n) {
        while (n > 0 && ((unsigned char)out->data[n] & 0xC0) == 0x80) n--;
        out->data[out->len = n] = '\0';
    }
}
