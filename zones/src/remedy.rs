//! How a listing ends, and what would end it sooner: the sentence for the customer on the phone.
//!
//! In go the code of a listing, the name the client says and the numbers of the policy; out comes one sentence. Every
//! listing ends by itself when its cause is gone; none has to be asked for, none is paid for.

use crate::name::Name;
use crate::policy::Policy;
use crate::verdict::ListCode;

/// How a listing under this code ends.
pub fn of(code: ListCode, name: Option<&Name>, policy: &Policy) -> String {
    let name = name.filter(|name| name.is_fqdn()).map_or("its name", |name| name.text());
    match code {
        ListCode::ManyFamilies => format!(
            "it ends by itself {} days after the last of those names; it ends sooner for a name whose address record leads to this client. Behind one address with several hosts, find the one that says the other names",
            policy.families_window_days
        ),
        ListCode::ClaimsOthers => format!(
            "it ends when the client says a name of its own, or when the DNS of {name} says that the client belongs to it"
        ),
        ListCode::Junk => {
            "it ends when the client says its own full host name in EHLO, one that the DNS knows"
                .to_owned()
        }
        ListCode::Denied => format!(
            "it ends when the owner of {name} changes the record that denies this address, or publishes CSA or SPF in which it is named"
        ),
        ListCode::Trapped => format!(
            "it ends by itself as its mail to others outweighs what spam traps get, after {} messages over {} days at the earliest",
            policy.known_messages, policy.known_span_days
        ),
        ListCode::Generic => {
            "it ends when the client says a name of its own whose address record leads to it, and has a reverse name of its own; or by itself, after mail was accepted on some days"
                .to_owned()
        }
        ListCode::Crowded => format!(
            "it ends by itself when mail of it was accepted on {} days, or {} days after the last new domain in its network",
            policy.established_days, policy.crowded_window_days
        ),
        ListCode::Operator => {
            "it ends when the operator of this server takes the decision back, or when its time is over"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listing_says_how_it_ends() {
        let name = Name::parse(b"mail.example.com");
        for code in [
            ListCode::ManyFamilies,
            ListCode::ClaimsOthers,
            ListCode::Junk,
            ListCode::Denied,
            ListCode::Trapped,
            ListCode::Generic,
            ListCode::Crowded,
            ListCode::Operator,
        ] {
            let sentence = of(code, Some(&name), &Policy::default());
            assert!(sentence.starts_with("it ends "), "{code:?}: {sentence}");
        }
    }
}
