//! Which files a name means: itself, or all that a pattern matches (`mainlog-*`, `/var/log/remote/*/mail.log*`).
//!
//! `*` and `?` match within one part of a path, `[..]` one character, `**` folders however deep; a leading dot must be
//! written. A name that exists as it stands means that file, whatever characters it has. Folders that cannot be listed
//! are passed over, and so is what is no regular file.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

use super::SourceTrouble;

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Whether `path` is a pattern, and no file of that name exists.
pub fn is_pattern(path: &Path) -> bool {
    let has_signs = path.to_str().is_some_and(|text| text.contains(['*', '?', '[']));
    has_signs && path.symlink_metadata().is_err()
}

/// The regular files that `pattern` matches, by their names.
pub fn matching(pattern: &Path) -> Result<Vec<PathBuf>, SourceTrouble> {
    let wrong = |reason: String| SourceTrouble::Pattern { path: pattern.to_path_buf(), reason };
    let text = pattern.to_str().ok_or_else(|| wrong("it is not UTF-8".into()))?;
    let found = glob_with(text, OPTIONS).map_err(|error| wrong(error.msg.into()))?;
    let mut paths: Vec<PathBuf> = found
        .filter_map(Result::ok)
        .filter(|path| std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Whether `pattern` matches `path`; both absolute, or both from the same folder.
pub fn matches(pattern: &Path, path: &Path) -> bool {
    let pattern = pattern.to_str().and_then(|text| Pattern::new(text).ok());
    pattern.is_some_and(|pattern| pattern.matches_path_with(path, OPTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in
            ["mainlog-1", "mainlog-2", "odd[1]", ".mainlog-3", "a/mail.log", "b/mail.log", "b/x"]
        {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "x\n").expect("written");
        }
        std::fs::create_dir(folder.path().join("mainlog-dir")).expect("made");
        for (pattern, expected) in [
            ("mainlog-*", &["mainlog-1", "mainlog-2"] as &[&str]),
            ("mainlog-?", &["mainlog-1", "mainlog-2"]),
            ("mainlog-[2-9]", &["mainlog-2"]),
            ("*/mail.log", &["a/mail.log", "b/mail.log"]),
            ("*", &["mainlog-1", "mainlog-2", "odd[1]"]),
            ("none*", &[]),
        ] {
            let path = folder.path().join(pattern);
            assert!(is_pattern(&path), "{pattern}");
            let found = matching(&path).expect("a pattern");
            let names: Vec<_> = found
                .iter()
                .filter_map(|path| path.strip_prefix(folder.path()).ok()?.to_str())
                .collect();
            assert_eq!(names, expected, "{pattern}");
            assert!(found.iter().all(|file| matches(&path, file)), "{pattern}");
        }
        assert!(!is_pattern(&folder.path().join("odd[1]")), "it exists as it stands");
        assert!(!is_pattern(Path::new("/var/log/mail.log")));
        let wrong = matching(Path::new("/var/log/[a")).expect_err("refused").to_string();
        assert!(wrong.starts_with("'/var/log/[a' is no pattern for names of files: "), "{wrong}");
    }
}
