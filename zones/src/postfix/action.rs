//! What can be answered, and how an answer is written.
//!
//! In goes an action with a text; out come the bytes of one answer. Whatever the text holds, the answer is one line of
//! printable ASCII and an empty line: a reply to Postfix is a command (access(5)), and a verdict quotes what strangers
//! said.
//!
//! There is no action that takes mail past what stands behind it (`ok`, `permit`): behind a service that answers so
//! before `reject_unauth_destination` a server is an open relay, and nothing that is learned is worth that.

/// The longest text of an answer, in octets: far above a verdict's 255, far below the 2,048 that Postfix reads.
const TEXT_MAX: usize = 1000;

/// What Postfix is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on as if it had not asked.
    Dunno,
    /// Put a header before the message, and go on.
    Prepend,
    /// Write into its log what is said, and go on.
    Warn,
    /// Refuse for now, unless something else refuses for good.
    DeferIfPermit,
    /// Refuse for good.
    Reject,
}

impl Action {
    /// Every action, from the mildest.
    pub const ALL: [Self; 5] =
        [Self::Dunno, Self::Prepend, Self::Warn, Self::DeferIfPermit, Self::Reject];

    /// Postfix's word for it, in the configuration and in metrics, too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dunno => "dunno",
            Self::Prepend => "prepend",
            Self::Warn => "warn",
            Self::DeferIfPermit => "defer_if_permit",
            Self::Reject => "reject",
        }
    }

    /// True if the client's mail is not taken.
    pub fn refuses(self) -> bool {
        matches!(self, Self::DeferIfPermit | Self::Reject)
    }

    /// Appends the answer to `to`. The text is a header for `Prepend`, and nothing for `Dunno`.
    pub fn write(self, text: &str, to: &mut Vec<u8>) {
        to.extend_from_slice(b"action=");
        to.extend_from_slice(self.word().as_bytes());
        if !text.is_empty() {
            to.push(b' ');
            let plain = |byte: u8| if matches!(byte, b' '..=b'~') { byte } else { b'?' };
            to.extend(text.bytes().take(TEXT_MAX).map(plain));
        }
        to.extend_from_slice(b"\n\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(action: Action, text: &str) -> String {
        let mut to = Vec::new();
        action.write(text, &mut to);
        String::from_utf8(to).expect("ASCII")
    }

    #[test]
    fn answers_as_postfix_reads_them() {
        for (action, text, expected) in [
            (Action::Dunno, "", "action=dunno\n\n"),
            (Action::Prepend, "X-Helostat: known", "action=prepend X-Helostat: known\n\n"),
            (Action::Warn, "helostat: listed", "action=warn helostat: listed\n\n"),
            (Action::DeferIfPermit, "later", "action=defer_if_permit later\n\n"),
            (Action::Reject, "a\nb\r\tö", "action=reject a?b????\n\n"),
        ] {
            assert_eq!(written(action, text), expected);
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_one_line(text in any::<String>(), which in 0..Action::ALL.len()) {
            let answer = written(Action::ALL[which], &text);
            prop_assert!(answer.ends_with("\n\n"));
            prop_assert_eq!(answer.matches('\n').count(), 2);
            prop_assert!(answer.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert!(answer.len() <= TEXT_MAX + 40);
        }
    }
}
