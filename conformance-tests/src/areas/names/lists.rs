//! Names that stores take for one another.

/// Characters that mean something to URLs, keys, SQL, shells, globs and paths.
pub(super) const CHARSET: [&str; 34] = [
    "a/b", "a//b", "a:b", "a#b", "a$b", "a%b", "a%2Fb", "a_b", "a\\b", "a\\\\b", "a?b", "a*b", "a.b", "a..b",
    "../a", ".", "a'b", "a''b", "a\"b", "a;b", "a@b", "a+b", "a b", "a&b", "a=b", "a,b", "a|b", "a<b>",
    "{a}", "[a]", "(a)", "a~b", "a`b", "😀",
];

/// Names of which one begins or ends with another.
pub(super) const PREFIX_PAIRS: [&str; 12] =
    ["a", "ab", "abc", "a-", "a-b", "a-bc", "a--b", "-a", "ba", "b-a", "a-a", "aa"];

/// Names that differ in case only.
pub(super) const CASE: [&str; 8] = ["Order", "order", "ORDER", "oRDER", "straße", "STRASSE", "ß", "ẞ"];

/// Names that differ in spaces only.
pub(super) const SPACES: [&str; 9] = ["a", " a", "a ", " a ", "a  ", "a b", "a  b", "a\u{a0}b", "a\u{2003}b"];

/// Names that look the same, or are canonically or compatibly equivalent in Unicode.
pub(super) const UNICODE_FORMS: [&str; 12] =
    ["é", "e\u{301}", "e", "Å", "A\u{30a}", "\u{212b}", "ﬁ", "fi", "①", "1", "a\u{200d}b", "ab"];

/// Names that a parser takes for values.
pub(super) const LOOKALIKES: [&str; 20] = [
    "1",
    "01",
    "1.0",
    "1e0",
    "+1",
    "-1",
    "0x1",
    "null",
    "NULL",
    "nil",
    "true",
    "True",
    "NaN",
    "inf",
    "{}",
    "[]",
    "\"\"",
    "''",
    "undefined",
    "1970-01-01",
];

/// Names that stores use for themselves, and all of which are ordinary here.
pub(super) const RESERVED: [&str; 16] = [
    "_",
    "__x",
    "all",
    "_all",
    "@all",
    "%all",
    "streams",
    "events",
    "head",
    "log",
    "stats-$",
    "a$",
    "sys",
    "public",
    "DEFAULT",
    "drop table events",
];

/// Names whose parts, joined by the usual separators, are those of others.
pub(super) const COMPOSITE: [&str; 14] = [
    "a-b-c",
    "a-b/c",
    "a/b-c",
    "a:b-c",
    "a-b:c",
    "a:b:c",
    "a|b-c",
    "a#b-c",
    "a-b#c",
    "a_b-c",
    "a-b_c",
    "a,b-c",
    "a-b,c",
    "a\u{1f31f}b-c",
];

/// Names with the same hash: CRC-32, FNV-1a, FNV-1 and Java's, two of each.
pub(super) const HASH_TWINS: [&str; 10] =
    ["plumless", "buckeroo", "codding", "gnu", "costarring", "liquid", "creamwove", "quists", "Aa", "BB"];

/// All of them.
pub(super) fn all() -> Vec<&'static str> {
    let lists: [&[&str]; 9] = [
        &CHARSET,
        &PREFIX_PAIRS,
        &CASE,
        &SPACES,
        &UNICODE_FORMS,
        &LOOKALIKES,
        &RESERVED,
        &COMPOSITE,
        &HASH_TWINS,
    ];
    let mut all: Vec<_> = lists.concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// Names as long as they can be, which differ in their last character or where a cut by characters, bytes or UTF-16 units falls.
pub(super) fn longest() -> Vec<String> {
    let bytes_max = annalist_core::NAME_BYTES_MAX;
    let ascii = "x".repeat(bytes_max - 1);
    let two = "é".repeat(bytes_max / 2);
    let three = "語".repeat(bytes_max / 3 - 1);
    let four = "😀".repeat(bytes_max / 4);
    vec![
        format!("{ascii}a"),
        format!("{ascii}b"),
        ascii.clone(),
        format!("{}é", &ascii[..bytes_max - 2]),
        format!("{two}a"),
        format!("{two}b"),
        format!("{three}語"),
        format!("{three}本"),
        format!("{four}abc"),
        format!("{four}abd"),
        format!("{}-{}", "c".repeat(127), "1".repeat(127)),
        format!("{}-{}", "c".repeat(127), "2".repeat(127)),
        "x".repeat(64),
        "x".repeat(128),
    ]
}
