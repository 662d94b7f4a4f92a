//! A dataset of a list as one text, the way rbldnsd is told of it: `FORMAT:FILE,FILE`.
//!
//! In goes `ip4set:bad-clients,more`; out comes the format and the files. Relative paths start from the folder of the
//! configuration. A file whose name has a comma cannot be named.

use std::path::{Path, PathBuf};

use helostat_zones::lists::Format;
use toml::Spanned;
use toml::de::DeValue;

use super::nearest::nearest;
use super::value::{Flaw, Reading, Rule, Value, quoted, read_text};

/// Files of one format that are one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The format of every file.
    pub format: Format,
    /// The files; at least one.
    pub files: Vec<PathBuf>,
}

impl Dataset {
    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let Some((word, files)) = text.split_once(':') else {
            return Err("it has no colon between the format and the files".into());
        };
        let format = Format::parse(word).ok_or_else(|| {
            let words = Format::ALL.map(Format::word);
            match nearest(word, words) {
                Some(near) => format!("there is no format {}, did you mean {near}?", quoted(word)),
                None => {
                    format!("there is no format {}; there are {}", quoted(word), words.join(", "))
                }
            }
        })?;
        let file = |path: &str| match path {
            "" => Err("the name of a file is empty".to_owned()),
            path if path.contains('\0') => Err("no path holds a NUL".into()),
            path => Ok(folder.join(path)),
        };
        let files = files.split(',').map(file).collect::<Result<_, _>>()?;
        Ok(Self { format, files })
    }
}

impl Value for Dataset {
    const SAMPLE: &'static str = "\"ip4set:bad-clients\"";

    fn kind(_: Rule) -> String {
        "a format, a colon, and files with commas between them".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| Self::parse(text, reading.folder))
    }

    fn write(&self) -> toml::Value {
        let files: Vec<_> = self.files.iter().map(|file| file.to_string_lossy()).collect();
        format!("{}:{}", self.format.word(), files.join(",")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_told_as_to_rbldnsd() {
        let read = |text| Dataset::parse(text, Path::new("/etc/helostat"));
        let dataset = read("ip4set:bad,/srv/more.gz").expect("sound");
        assert_eq!(dataset.format, Format::Ip4Set);
        let files = ["/etc/helostat/bad", "/srv/more.gz"].map(PathBuf::from);
        assert_eq!(dataset.files, files);
        for (text, why) in [
            ("bad", "it has no colon between the format and the files"),
            ("ip4sett:bad", "there is no format \"ip4sett\", did you mean ip4set?"),
            ("ip4set:", "the name of a file is empty"),
            ("ip4set:a,,b", "the name of a file is empty"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }
}
