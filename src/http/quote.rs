//! A server's own words, made fit for our messages.

use crate::user_id::is_printable;

/// Longest text of a server's that one of our messages holds, in characters.
const LONGEST_QUOTE: usize = 200;

/// What a server said: short, on one line, of characters that print.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted: String = text
        .chars()
        .take(LONGEST_QUOTE)
        .map(|character| if is_printable(character) { character } else { ' ' })
        .collect();
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        quoted.push('…');
    }
    quoted.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_on_one_line() {
        assert_eq!(quote("1 error occurred:\n\t* denied\n\n"), "1 error occurred: * denied");
        assert_eq!(quote("\u{202e}x\u{1b}[31m"), "x [31m");
        assert_eq!(quote(""), "");
        assert_eq!(quote(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(quote(&"é".repeat(9999)), format!("{}…", "é".repeat(200)));
    }
}
