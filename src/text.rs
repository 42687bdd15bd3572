//! Text of others, made fit for our messages.

use unicode_general_category::{GeneralCategory, get_general_category};

/// Longest text of a server's that one of our messages holds, in characters.
const LONGEST_QUOTE: usize = 200;

/// Letters, marks, numbers, punctuation, symbols and the space: what Vault takes in a path.
///
/// After Go's `unicode.IsPrint`, by which `HashiCorp` Vault and `OpenBao` check paths.
#[must_use]
pub fn is_printable(character: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate,
        Unassigned,
    };
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    !matches!(
        get_general_category(character),
        Control
            | Format
            | LineSeparator
            | ParagraphSeparator
            | PrivateUse
            | SpaceSeparator
            | Surrogate
            | Unassigned
    )
}

/// Shows what does not print by its number: it may be what is wrong with a path that is quoted.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        if is_printable(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
        shown
    })
}

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

/// A token as a header carries it: without the white space around it, such as a file's last
/// newline.
///
/// # Errors
/// When it is empty or holds a character that no header can carry. The token is not shown.
pub fn header_token(token: &str) -> Result<&str, &'static str> {
    match token.trim() {
        "" => Err("is empty"),
        token if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token),
        _ => Err("holds a character that no token has; \
                  tokens are letters, digits and punctuation of ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_printable_ascii_without_spaces() {
        assert_eq!(header_token(" hvs.a-b_c=\n"), Ok("hvs.a-b_c="));
        for token in ["", " \n", "a b", "a\nb", "a\u{7f}", "tökén"] {
            assert!(header_token(token).is_err(), "{token:?}");
        }
    }

    #[test]
    fn quotes_are_short_and_on_one_line() {
        assert_eq!(quote("1 error occurred:\n\t* denied\n\n"), "1 error occurred: * denied");
        assert_eq!(quote("\u{202e}x\u{1b}[31m"), "x [31m");
        assert_eq!(quote(""), "");
        assert_eq!(quote(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(quote(&"é".repeat(9999)), format!("{}…", "é".repeat(200)));
    }
}
