//! What to add to a mail server's configuration, so that its log shows the EHLO names of mail it takes.
//!
//! In go counts of messages that were taken, by program: with a name and without. Out comes a sentence for the
//! operator where hardly any had one: such a log teaches nothing of honest senders, and whoever set it up must
//! hear of it. The lines themselves stand in `ops/mta`, where tests run them with the real servers.

use crate::fate::Program;

/// So many messages without a name before anybody is told: a few are nobody's fault.
const ENOUGH: u64 = 20;
/// One in so many with a name is still "hardly any".
const RARE: u64 = 20;

/// Messages of strangers that were taken: with a name, and without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The log shows what the client said, or that it said nothing.
    pub named: u64,
    /// It does not.
    pub unnamed: u64,
}

impl Taken {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.named += other.named;
        self.unnamed += other.unnamed;
    }

    /// True if the log hides the names of what is taken.
    pub fn is_hidden(self) -> bool {
        self.unnamed >= ENOUGH && self.named.saturating_mul(RARE) < self.unnamed
    }
}

/// What to tell the operator of a program whose log hides names; `None` if it does not.
pub fn sentence(program: Program, taken: Taken) -> Option<String> {
    if !taken.is_hidden() {
        return None;
    }
    let total = taken.named + taken.unnamed;
    let share = match taken.named {
        0 => "none with an EHLO".to_owned(),
        named => format!("only {} with an EHLO", grouped(named)),
    };
    Some(format!(
        "{} accepted {} messages, {share}, so that nothing can be learned of their senders: {}",
        title(program),
        grouped(total),
        what_to_add(program),
    ))
}

fn title(program: Program) -> &'static str {
    match program {
        Program::Postfix => "Postfix",
        Program::Exim => "Exim",
        Program::Sendmail => "Sendmail",
        Program::OpenSmtpd => "OpenSMTPD",
        Program::Haraka => "Haraka",
        Program::Rspamd => "rspamd",
        Program::Stalwart => "Stalwart",
        Program::Exchange => "Exchange",
        Program::HMailServer => "hMailServer",
        Program::MailEnable => "MailEnable",
        Program::PowerMta => "PowerMTA",
        Program::Qmail => "qmail",
        Program::Amavis => "amavis",
        Program::Json | Program::Csv | Program::Other => "the log's writer",
    }
}

fn what_to_add(program: Program) -> &'static str {
    match program {
        Program::Postfix => {
            "add these two lines: `smtpd_end_of_data_restrictions = check_helo_access regexp:/etc/postfix/helo_log` to \
             main.cf, and `/./ INFO` as /etc/postfix/helo_log (ops/mta/postfix)"
        }
        Program::Exim => {
            "add the logwrite line of ops/mta/exim to the ACL that acl_smtp_mail names"
        }
        Program::Sendmail => "add the syslog map of ops/mta/sendmail to sendmail.mc",
        Program::OpenSmtpd => {
            "add `filter \"helostat\" proc-exec \"/usr/bin/helostat filter opensmtpd\"` (ops/mta/opensmtpd)"
        }
        Program::Haraka => "log at level NOTICE or more (ops/mta/haraka)",
        Program::Rspamd => "add the lines of ops/mta/rspamd to rspamd.local.lua",
        Program::Stalwart => "log at level info",
        Program::Exchange => {
            "set ProtocolLoggingLevel Verbose on the receive connectors (ops/mta/exchange)"
        }
        Program::HMailServer | Program::MailEnable => "switch the SMTP log on (ops/mta)",
        Program::PowerMta | Program::Qmail | Program::Amavis => {
            "it cannot log them; read the log of the server in front of it, or feed JSON lines (docs/observations.md)"
        }
        Program::Json | Program::Csv | Program::Other => {
            "its lines have no \"ehlo\" (docs/observations.md)"
        }
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_hides_names_is_spoken_of() {
        for (named, unnamed, told) in [
            (0, 0, false),
            (0, 19, false),
            (0, 20, true),
            (1, 20, false),
            (1, 21, true),
            (900, 100, false),
        ] {
            let sentence = sentence(Program::Postfix, Taken { named, unnamed });
            assert_eq!(sentence.is_some(), told, "{named} {unnamed}");
        }
        let sentence = sentence(Program::Postfix, Taken { named: 0, unnamed: 10_000 });
        assert!(sentence.is_some_and(|text| {
            text.starts_with("Postfix accepted 10,000 messages, none with an EHLO")
        }),);
    }
}
