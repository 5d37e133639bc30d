//! What customers and agents write.

mod languages;

use std::fmt::Write;

use super::random::Random;
pub(super) use languages::LANGUAGES;

/// Texts that careless readers stumble over.
const HOSTILE: [&str; 16] = [
    "N/A",
    "null",
    "00012345",
    "1e5",
    "TRUE",
    "' OR '1'='1",
    "<script>alert(\"x\")</script>",
    "=HYPERLINK(\"http://example.com\";\"click\")",
    "Robert'); DROP TABLE cases;--",
    "${jndi:ldap://example.com/a}",
    "../../etc/passwd\\u0000",
    "right\u{202e}to left",
    "zero\u{200b}width\u{feff}",
    "Z\u{351}\u{36b}a\u{343}lgo",
    "tab\tnext\u{b}vertical",
    "👩‍👩‍👧‍👦🏳️‍🌈 𝕳𝖊𝖑𝖑𝖔 \u{1f1e9}\u{1f1ea}",
];

const EMOJI: [&str; 8] = ["🙏", "😡", "👍🏽", "😀", "💶", "🤦‍♀️", "❤️", "🚀"];

/// A language, the common ones likelier.
pub(super) fn language(random: &mut Random) -> usize {
    let mut place = random.below(100);
    for (index, language) in LANGUAGES.iter().enumerate() {
        if place < language.weight {
            return index;
        }
        place -= language.weight;
    }
    0
}

/// A subject line.
pub(super) fn subject(random: &mut Random, language: usize) -> String {
    if random.chance(0.01) {
        return (*random.pick(&HOSTILE)).to_owned();
    }
    let subject = *random.pick(&LANGUAGES[language].subjects);
    match random.below(8) {
        0 => format!("{subject} (#{:06})", random.below(1_000_000)),
        1 => format!("URGENT: {subject} {}", random.pick(&EMOJI)),
        2 => format!("Re: {subject}"),
        _ => subject.to_owned(),
    }
}

/// A short text: a comment, or the first lines of a message.
pub(super) fn note(random: &mut Random, language: usize, by_agent: bool) -> String {
    if random.chance(0.01) {
        return (*random.pick(&HOSTILE)).to_owned();
    }
    let language = &LANGUAGES[language];
    let mut text = String::new();
    for place in 0..=random.below(4) {
        if place > 0 {
            text.push_str(if random.chance(0.3) { "\r\n" } else { " " });
        }
        let sentence =
            if by_agent { *random.pick(&language.agent) } else { *random.pick(&language.customer) };
        text.push_str(sentence);
    }
    if random.chance(0.15) {
        text.push(' ');
        text.push_str(random.pick::<&str>(&EMOJI));
    }
    if random.chance(0.1) {
        _ = write!(text, " [ref:{:08x}]", random.below(1 << 30));
    }
    text
}

/// A message as plain text with CRLF line ends; a few are very long.
pub(super) fn message(random: &mut Random, language: usize, by_agent: bool) -> String {
    let words = &LANGUAGES[language];
    let mut text = format!("{}\r\n\r\n{}\r\n", words.greeting, note(random, language, by_agent));
    let size = random.below(500);
    if size == 0 {
        long_log(random, &mut text, 120_000);
    } else if size < 10 {
        long_log(random, &mut text, 12_000);
    }
    text.push_str("\r\n");
    text.push_str(words.closing);
    text.push_str("\r\n-- \r\n");
    text
}

/// Appends paragraphs until the text has that many bytes.
pub(super) fn lengthen(random: &mut Random, language: usize, text: &mut String, bytes: usize) {
    while text.len() < bytes {
        text.push_str("\r\n\r\n");
        text.push_str(&note(random, language, false));
    }
}

/// Appends the start of what a message answers.
pub(super) fn quote(text: &mut String, quoted: &str) {
    text.push_str("\r\n> ");
    let end = quoted.char_indices().nth(400).map_or(quoted.len(), |(end, _)| end);
    text.push_str(&quoted[..end].replace("\r\n", "\r\n> "));
}

/// A pasted log, as customers send them.
fn long_log(random: &mut Random, text: &mut String, most: usize) {
    let size = most / 2 + random.below(most / 2);
    let mut line = 0;
    while text.len() < size {
        _ = write!(
            text,
            "\r\n2024-0{}-1{} 12:{:02}:{:02} WARN worker-{} retry={} path=/api/v1/orders/{:07} «läuft nicht»",
            random.below(9) + 1,
            random.below(9),
            line % 60,
            random.below(60),
            random.below(16),
            random.below(5),
            random.below(10_000_000)
        );
        line += 1;
    }
}

/// The same message as a mail program writes it.
pub(super) fn html(random: &mut Random, text: &str) -> String {
    let escaped =
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("\r\n", "<br>\r\n");
    let style = match random.below(3) {
        0 => "<style>p.MsoNormal{margin:0cm;font-family:\"Calibri\",sans-serif;}</style>",
        1 => "<!-- generated --><meta charset=\"utf-8\">",
        _ => "",
    };
    let image =
        if random.chance(0.1) { "<img src=\"cid:logo@example.com\" width=\"1\" height=\"1\">" } else { "" };
    format!(
        "<html><head>{style}</head><body dir=\"auto\"><div class=\"x\">{escaped}</div>{image}</body></html>"
    )
}

/// One of the texts that careless readers stumble over.
pub(super) fn hostile(random: &mut Random) -> &'static str {
    random.pick::<&str>(&HOSTILE)
}
