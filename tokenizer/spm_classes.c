/* SPDX-License-Identifier: MIT */
#include "tokenizer/spm_classes.h"
#include "tokenizer/tok_internal.h"
#include <stddef.h>

#define LIST(...) "[" __VA_ARGS__ "]"
#define BLANK_TO_META                                                                              \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}"
#define META_TO_BLANK                                                                              \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"}"
#define ONE_BLANK "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}"
#define BLANKS_TO_META                                                                             \
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\"\\u2581\"}"
#define CHARSMAP "{\"type\":\"Charsmap\"}"
#define QUOTES                                                                                     \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"``\"},\"content\":\"\\\"\"},"                 \
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"''\"},\"content\":\"\\\"\"}"
#define NO_ACCENTS(otherwise)                                                                      \
    "{\"type\":\"NFKD\",\"unless\":\"keep_accents\",\"default\":" otherwise "},"                   \
    "{\"type\":\"StripAccents\",\"unless\":\"keep_accents\",\"default\":" otherwise "}"
#define LOWER(otherwise)                                                                           \
    "{\"type\":\"Lowercase\",\"when\":\"do_lower_case\",\"default\":" otherwise "}"
#define STRIP_RIGHT "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}"
#define STRIP_BOTH  "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}"

#define METASPACE       "{\"type\":\"Metaspace\",\"prepend_scheme\":\"always\",\"split\":true}"
#define WORDS_METASPACE LIST("{\"type\":\"WhitespaceSplit\"}," METASPACE)
#define PUNCTUATION_METASPACE                                                                      \
    LIST("{\"type\":\"Punctuation\",\"behavior\":\"Isolated\",\"when\":\"split_by_punct\","        \
         "\"default\":false}," METASPACE)
#define LLAMA_FIRST                                                                                \
    LIST("{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\",\"split\":false,\"when\":"          \
         "\"add_prefix_space\",\"default\":true},{\"type\":\"Metaspace\",\"prepend_scheme\":"      \
         "\"never\",\"split\":false,\"unless\":\"add_prefix_space\",\"default\":true}")
#define PREPEND                                                                                    \
    "{\"type\":\"Prepend\",\"prepend\":\"\\u2581\",\"when\":\"add_prefix_space\",\"default\":"     \
    "true}"
#define BYTES_TO_TEXT META_TO_BLANK ",{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}"
#define STRIP_PREFIX                                                                               \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0,\"when\":\"add_prefix_space\","  \
    "\"default\":true}"

/*                      bos eos unk sep pad cls mask */
#define ROBERTA_NAMES "<s> </s> <unk> </s> <pad> <s> <mask>"
#define BERT_NAMES    "[CLS] [SEP] <unk> [SEP] <pad> [CLS] [MASK]"
#define ACCENTED(lower)                                                                            \
    LIST(QUOTES "," NO_ACCENTS("false") "," LOWER(lower) "," CHARSMAP "," ONE_BLANK)
#define PLAIN LIST(CHARSMAP "," ONE_BLANK)
#define OLD   LIST(CHARSMAP "," STRIP_RIGHT "," BLANKS_TO_META)

// clang-format off
static const struct spm_class classes[] = {
    { "LlamaTokenizer CodeLlamaTokenizer Phi3Tokenizer", SPM_AS_IS, SPM_NO_TAIL, false, true, false,
      LIST(PREPEND "," BLANK_TO_META), LIST(), LIST(BYTES_TO_TEXT "," STRIP_PREFIX),
      NULL, "<s> </s> <unk> - - - -", NULL },
    { "LlamaTokenizer CodeLlamaTokenizer Phi3Tokenizer", SPM_AS_IS, SPM_NO_TAIL, false, true, false,
      LIST(), LLAMA_FIRST, LIST(BYTES_TO_TEXT "," STRIP_PREFIX),
      NULL, "<s> </s> <unk> - - - -", NULL },
    { "GemmaTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, true, false,
      LIST(BLANK_TO_META), LIST(), LIST(BYTES_TO_TEXT),
      NULL, "<bos> <eos> <unk> - <pad> - <mask>", NULL },
    { "XLMRobertaTokenizer LayoutXLMTokenizer", SPM_FAIRSEQ, SPM_NO_TAIL, true, false, false,
      PLAIN, WORDS_METASPACE, LIST(METASPACE),
      "bos_token|eos_token", ROBERTA_NAMES, NULL },
    { "CamembertTokenizer", SPM_CAMEMBERT, SPM_NO_TAIL, true, false, false,
      PLAIN, WORDS_METASPACE, LIST(METASPACE),
      "bos_token|eos_token", ROBERTA_NAMES, NULL },
    { "T5Tokenizer MT5Tokenizer", SPM_AS_IS, SPM_EXTRA_IDS, false, false, false,
      LIST(CHARSMAP), WORDS_METASPACE, LIST(METASPACE),
      "|eos_token", "- </s> <unk> - <pad> - -", NULL },
    { "UdopTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      LIST(CHARSMAP), WORDS_METASPACE, LIST(METASPACE),
      "|eos_token", "- </s> <unk> - <pad> - -", NULL },
    { "AlbertTokenizer FNetTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, true,
      ACCENTED("true"), WORDS_METASPACE, LIST(METASPACE),
      "cls_token|sep_token", BERT_NAMES, NULL },
    { "XLNetTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, true,
      ACCENTED("false"), WORDS_METASPACE, LIST(METASPACE),
      "|sep_token cls_token", "<s> </s> <unk> <sep> <pad> <cls> <mask>", NULL },
    { "RemBertTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      LIST(QUOTES "," ONE_BLANK "," NO_ACCENTS("true") "," LOWER("false") "," CHARSMAP),
      LIST(METASPACE), LIST(METASPACE),
      "cls_token|sep_token", BERT_NAMES, NULL },
    { "DebertaV2Tokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      LIST(LOWER("false") "," STRIP_BOTH "," CHARSMAP "," ONE_BLANK), PUNCTUATION_METASPACE,
      LIST(METASPACE),
      "cls_token|sep_token", "[CLS] [SEP] [UNK] [SEP] [PAD] [CLS] [MASK]", NULL },
    { "BigBirdTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      OLD, LIST(METASPACE), LIST(METASPACE),
      "cls_token|sep_token", "<s> </s> <unk> [SEP] <pad> [CLS] [MASK]", NULL },
    { "BarthezTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      OLD, LIST(METASPACE), LIST(METASPACE),
      "bos_token|eos_token", ROBERTA_NAMES, NULL },
    { "ReformerTokenizer", SPM_AS_IS, SPM_NO_TAIL, false, false, false,
      OLD, LIST(METASPACE), LIST(METASPACE),
      "|", "- </s> <unk> - - - -", NULL },
    { "PegasusTokenizer", SPM_PEGASUS, SPM_NO_TAIL, false, false, false,
      LIST(CHARSMAP "," ONE_BLANK), WORDS_METASPACE, LIST(METASPACE),
      "|eos_token", "- </s> <unk> - <pad> - -", NULL },
    { "MBartTokenizer", SPM_FAIRSEQ, SPM_MBART, true, false, false,
      PLAIN, WORDS_METASPACE, LIST(METASPACE),
      "|eos_token lang", ROBERTA_NAMES, "en_XX" },
    { "MBart50Tokenizer", SPM_FAIRSEQ, SPM_MBART50, true, false, false,
      PLAIN, LIST(METASPACE), LIST(METASPACE),
      "lang|eos_token", ROBERTA_NAMES, "en_XX" },
    { "NllbTokenizer", SPM_FAIRSEQ, SPM_CONFIG_NAMES, true, false, false,
      PLAIN, LIST(METASPACE), LIST(METASPACE),
      "lang|eos_token", ROBERTA_NAMES, "eng_Latn" },
    { "XGLMTokenizer", SPM_FAIRSEQ, SPM_MADE_UP, false, false, false,
      PLAIN, LIST(METASPACE), LIST(METASPACE),
      "sep_token|", "<s> </s> <unk> </s> <pad> <s> -", NULL },
};
// clang-format on

const struct spm_class *spm_class_find(const char *name, bool legacy)
{
    for (size_t i = 0; i < COUNT(classes); i++)
        if (tok_class_among(classes[i].names, name))
            /* Llama's row without "legacy" stands behind the one with it */
            return i == 0 && !legacy ? &classes[1] : &classes[i];
    return NULL;
}

#define MBART_LANGUAGES                                                                            \
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN",      \
        "it_IT", "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO",  \
        "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN"

const char *const *spm_class_languages(enum spm_tail tail)
{
    static const char *const none[] = { NULL };
    static const char *const mbart[] = { MBART_LANGUAGES, NULL };
    static const char *const mbart50[] = { MBART_LANGUAGES, "af_ZA", "az_AZ", "bn_IN", "fa_IR",
                                           "he_IL",         "hr_HR", "id_ID", "ka_GE", "km_KH",
                                           "mk_MK",         "ml_IN", "mn_MN", "mr_IN", "pl_PL",
                                           "ps_AF",         "pt_XX", "sv_SE", "sw_KE", "ta_IN",
                                           "te_IN",         "th_TH", "tl_XX", "uk_UA", "ur_PK",
                                           "xh_ZA",         "gl_ES", "sl_SI", NULL };
    static const char *const made_up[] = { "<madeupword0>", "<madeupword1>",
                                           "<madeupword2>", "<madeupword3>",
                                           "<madeupword4>", "<madeupword5>",
                                           "<madeupword6>", NULL };

    return tail == SPM_MBART     ? mbart
           : tail == SPM_MBART50 ? mbart50
           : tail == SPM_MADE_UP ? made_up
                                 : none;
}
