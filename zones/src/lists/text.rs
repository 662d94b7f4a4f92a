//! From a TXT template to the text of an answer.
//!
//! `$` stands for the key (address or name), `$$` for a dollar, `$0` to `$9` for variables (for themselves where there
//! is none). With a frame (`$= ...`) the template is what `$=` stands for in it (the key, if there is no
//! template), unless the template begins with `=`, which is then left out and has no frame. The result is
//! raw octets, at most [`TEXT_MAX`].

/// The longest text after substitution, in octets: rbldnsd's buffer is one shorter than a character-string.
const TEXT_MAX: usize = 254;
/// The place of the frame among the variables.
pub(super) const FRAME: usize = 10;
/// How many variables there are: ten, and the frame.
const VARIABLES: usize = 11;

/// The variables of a dataset; an empty one is not set.
#[derive(Clone, Default)]
pub(super) struct Variables([Box<[u8]>; VARIABLES]);

impl Variables {
    /// True if it is set.
    pub(super) fn has(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|text| !text.is_empty())
    }

    /// Sets one.
    pub(super) fn set(&mut self, place: usize, text: Box<[u8]>) {
        if let Some(variable) = self.0.get_mut(place) {
            *variable = text;
        }
    }

    fn get(&self, place: usize) -> Option<&[u8]> {
        self.0.get(place).map(|text| &**text).filter(|text| !text.is_empty())
    }

    /// The text of an answer; empty if there is none.
    pub(super) fn fill(&self, template: &[u8], key: &[u8]) -> Vec<u8> {
        let (mut rest, framed, key) = match (template.strip_prefix(b"="), self.get(FRAME)) {
            (Some(bare), _) => (bare, bare, key),
            (None, None) => (template, template, key),
            (None, Some(frame)) if template.is_empty() => (frame, key, key),
            (None, Some(frame)) => (frame, template, key),
        };
        let mut text = Vec::with_capacity(rest.len() + key.len());
        while text.len() < TEXT_MAX {
            let Some(dollar) = memchr::memchr(b'$', rest) else {
                text.extend_from_slice(rest);
                break;
            };
            let (plain, behind) = rest.split_at(dollar);
            text.extend_from_slice(plain);
            let next = behind.get(1).copied();
            let (value, length) = match next {
                Some(b'$') => (&b"$"[..], 2),
                Some(b'=') => (framed, 2),
                Some(digit @ b'0'..=b'9') => {
                    let itself = behind.get(..2).unwrap_or(behind);
                    (self.get(usize::from(digit - b'0')).unwrap_or(itself), 2)
                }
                _ => (key, 1),
            };
            text.extend_from_slice(value);
            rest = behind.get(length..).unwrap_or_default();
        }
        text.truncate(TEXT_MAX);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(usize, &str)]) -> Variables {
        let mut variables = Variables::default();
        for &(place, text) in set {
            variables.set(place, text.as_bytes().into());
        }
        variables
    }

    #[test]
    fn fills_templates() {
        let plain = variables(&[(1, "See http://www.example.com/bl"), (2, "for details")]);
        let framed = variables(&[(FRAME, "See http://www.example.com/bl?$= ($) for details")]);
        for (variables, template, text) in [
            (&plain, "", ""),
            (
                &plain,
                "$1/spammer/$ $2",
                "See http://www.example.com/bl/spammer/192.0.2.7 for details",
            ),
            (&plain, "wants some $$$$.", "wants some $$."),
            (&plain, "$3 $", "$3 192.0.2.7"),
            (&plain, "=x$", "x192.0.2.7"),
            (&plain, "a$=b", "aa$=bb"),
            (&framed, "r123", "See http://www.example.com/bl?r123 (192.0.2.7) for details"),
            (&framed, "", "See http://www.example.com/bl?192.0.2.7 (192.0.2.7) for details"),
            (&framed, "=See others about $", "See others about 192.0.2.7"),
            (&framed, "=", ""),
        ] {
            let filled = variables.fill(template.as_bytes(), b"192.0.2.7");
            assert_eq!(String::from_utf8_lossy(&filled), text, "{template}");
        }
        let long = variables(&[(1, &"x".repeat(200))]);
        assert_eq!(long.fill(b"$1$1", b"").len(), TEXT_MAX);
    }
}
