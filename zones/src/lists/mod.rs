//! The operator's own lists, in the formats of rbldnsd.
//!
//! In go the lines of dataset files ([`Loader`], one dataset from one or several files, any `BufRead`: who opens and
//! unpacks them is not our business); out comes an immutable [`Dataset`], and from one or several of them a
//! [`ListZone`] that answers questions. A dataset is loaded beside the one in force and swapped by pointer; one that
//! fails to load leaves nothing behind.
//!
//! # What is read
//!
//! The formats are those of rbldnsd 1.0 (its manual, section "DATASET TYPES AND FORMATS"; where manual and
//! program differ, as the program of 2021-01-20 does): `ip4set`, `ip4tset`, `ip4trie`, `ip6tset`, `ip6trie`, `dnset`
//! (`dnhash` is another name of it), `generic`, `combined`. Not `acl`: who may ask is the server's business.
//!
//! - Lines end with LF; blanks are space and tab; a line whose first octet is `#` or `;` says nothing, unless `$` is
//!   the second. What follows an octet 0 is not read. Lines end at [`LINE_MAX`] octets.
//! - `$SOA $NS $TTL $TIMESTAMP $MAXRANGE4 $0..$9 $= $DATASET` after `$`, `#$`, `;$` or `:$`. The first `$SOA`, `$NS`
//!   and substitution hold; the last `$TTL` does, for everything in the dataset but `generic` records above it.
//! - `:A:TXT` alone on a line is the value of the entries behind it, to the end of the file (in `ip4tset` and `ip6tset`:
//!   of all entries of all files, and only the first such line counts). Behind an entry it is the value of that entry.
//!   Without any it is 127.0.0.2 and no TXT. A part of an address as A: `2` is 127.0.0.2, `1.2` is 1.0.0.2.
//! - TXT is cut at 255 octets when it is read, at 254 after substitution: `$` is the address or name, `$1` a
//!   variable, `$$` a dollar, and `$=` a frame around all texts that do not begin with `=`.
//!
//! What rbldnsd warns of and skips is skipped here with a [`Complaint`] that has file, line, column, what is wrong and
//! what to do; all are counted, the first [`COMPLAINTS_MAX`] are kept. What makes rbldnsd give up the file is a
//! [`LoadError`]. Nothing panics, whatever the bytes.
//!
//! # What is answered
//!
//! What rbldnsd answers to the same question: A, TXT (and MX of `generic`), each set of records with the least TTL of
//! its sources, a value once. More narrowly listed addresses win, an exclusion beats listings of the same width (in
//! tries the first line of a prefix holds). In `ip4set` the widths are octets: a range is cut into /8, /16, /24 and /32.
//! An IPv6 question finds IPv4 lists as well if it is an IPv4-mapped (`::ffff:0:0/96`) or 6to4 (`2002::/16`) address.
//!
//! The one difference: a name above a listed or possible one exists ([RFC 8020]), so it has no data where
//! rbldnsd says that it does not exist. Above addresses that goes by form (as in [`key`](crate::key)), above names by
//! what is listed. Excluded entries do not exist.
//!
//! Test points (RFC 5782 section 5) are not made up: they answer if the list has 127.0.0.2, as in rbldnsd.
//!
//! # How it lies in memory
//!
//! - Single IPv4 addresses: per first octet an index over the second octet (257 x 4 octets), two octets an
//!   address in sorted order, and the number of its value in 0, 1, 2 or 4 octets, whatever the largest number there
//!   needs. 10 million addresses with four values take 3 octets each. While the list is read: 4 octets an address,
//!   given back to the allocator as the table is made (`docs/benchmarks.md` has what that comes to).
//! - Wider IPv4 entries of sets: sorted arrays, one a width. Of tries: the prefixes flattened to the places at
//!   which the value changes, binary search. IPv6 the same with wider keys.
//! - Names: one hash table of nodes (16 octets) over one run of text, a node for every name and for every name above.
//! - Values (A and template): once each, however many entries have them.
//!
//! Files: `reader` (lines), `line` (words of a line), `address`, `wire` (names), `special` (`$`), `values`,
//! `text` (substitution), one file a format (`ip4set`, `ip4tset`, `ip4trie`, `ip6`, `names`, `generic`, `combined`) over
//! `singles`, `sorted`, `spans`; `loader` drives, `dataset`, `zone` and `answer` answer.
//!
//! [RFC 8020]: https://www.rfc-editor.org/rfc/rfc8020

mod address;
mod answer;
mod combined;
mod complaint;
mod dataset;
mod format;
mod generic;
mod ip4set;
mod ip4trie;
mod ip4tset;
mod ip6;
mod line;
mod loader;
mod names;
mod question;
mod reader;
mod singles;
mod sorted;
mod spans;
mod special;
mod text;
mod values;
mod wire;
mod zone;

#[cfg(test)]
mod tests;

pub use answer::{ListAnswer, Mx, RrSet, Wanted};
pub use complaint::{COMPLAINTS_MAX, Complaint, Complaints, LoadError};
pub use dataset::Dataset;
pub use format::Format;
pub use loader::{HostBits, Loaded, Loader, Options};
pub use reader::LINE_MAX;
pub use special::{Ns, Soa};
pub use wire::WireName;
pub use zone::ListZone;
