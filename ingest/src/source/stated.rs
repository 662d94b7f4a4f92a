//! How long the content of a packed file is, as the file itself says, without unpacking it.
//!
//! Only to see that there is nothing new in it: a gzip file says it modulo 2^32, and of its last member only, so what
//! is stated is compared with positions, never added up. Of an xz file the index of its one stream is read, of a zstd
//! file the heads of all frames and blocks. What is damaged or says nothing states nothing.

use std::io;

use super::file::LogFile;
use super::unpack::Packing;

/// The longest xz index that is read: a record for each block, and `xz` by itself makes one block.
const INDEX_BYTES: u64 = 1 << 20;

/// A length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated {
    Modulo32(u32),
    Exact(u64),
}

impl Stated {
    /// What `log` says of itself.
    pub(super) fn of(log: &LogFile) -> io::Result<Option<Self>> {
        Ok(match log.packing {
            Packing::Plain => None,
            Packing::Gzip => gzip(log)?,
            Packing::Xz => xz(log)?.map(Self::Exact),
            Packing::Zstd => zstd(log)?.map(Self::Exact),
        })
    }

    /// Whether content that ends at `offset` has this length.
    pub(super) fn is(self, offset: u64) -> bool {
        match self {
            Self::Modulo32(stated) => offset & u64::from(u32::MAX) == u64::from(stated),
            Self::Exact(stated) => offset == stated,
        }
    }
}

/// Some bytes at `offset`; none if there are not so many.
fn at<const N: usize>(log: &LogFile, offset: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    Ok((log.read_fully_at(&mut bytes, offset)? == N).then_some(bytes))
}

/// RFC 1952 section 2.3.1.
fn gzip(log: &LogFile) -> io::Result<Option<Stated>> {
    let Some(end) = log.stamp()?.size.checked_sub(4) else { return Ok(None) };
    Ok(at(log, end)?.map(|stated| Stated::Modulo32(u32::from_le_bytes(stated))))
}

/// The .xz file format, section 2.1.2 (stream footer) and 4 (index).
fn xz(log: &LogFile) -> io::Result<Option<u64>> {
    const HEAD: u64 = 12;
    let size = log.stamp()?.size;
    let Some(end) = size.checked_sub(HEAD) else { return Ok(None) };
    let Some([_, _, _, _, a, b, c, d, _, _, b'Y', b'Z']) = at::<12>(log, end)? else {
        return Ok(None);
    };
    let length = (u64::from(u32::from_le_bytes([a, b, c, d])) + 1) * 4;
    let Some(begin) = end.checked_sub(length).filter(|_| length <= INDEX_BYTES) else {
        return Ok(None);
    };
    let mut index = vec![0; usize::try_from(length).unwrap_or_default()];
    log.read_fully_at(&mut index, begin)?;
    // A stream that does not begin where the file does has others before it.
    Ok(xz_index(&index).filter(|(packed, _)| HEAD + packed == begin).map(|(_, content)| content))
}

/// The octets that all blocks of an index take, and those of their content.
fn xz_index(index: &[u8]) -> Option<(u64, u64)> {
    let mut rest = index.strip_prefix(&[0])?;
    let records = xz_number(&mut rest)?;
    let (mut packed, mut content) = (0_u64, 0_u64);
    for _ in 0..records {
        packed = packed.checked_add(xz_number(&mut rest)?.checked_next_multiple_of(4)?)?;
        content = content.checked_add(xz_number(&mut rest)?)?;
    }
    Some((packed, content))
}

/// The .xz file format, section 1.2: seven bits an octet, the lowest first.
fn xz_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..9 {
        let (octet, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// RFC 8878 section 3.1: frames, each with a header that may state its content size, and blocks.
fn zstd(log: &LogFile) -> io::Result<Option<u64>> {
    let size = log.stamp()?.size;
    let (mut offset, mut content) = (0_u64, 0_u64);
    while offset < size {
        let Some([a, b, c, d]) = at::<4>(log, offset)? else { return Ok(None) };
        offset += 4;
        if a & 0xf0 == 0x50 && [b, c, d] == [0x2a, 0x4d, 0x18] {
            let Some(skipped) = at(log, offset)? else { return Ok(None) };
            offset += 4 + u64::from(u32::from_le_bytes(skipped));
            continue;
        }
        if [a, b, c, d] != [0x28, 0xb5, 0x2f, 0xfd] {
            return Ok(None);
        }
        let Some(frame) = zstd_frame(log, offset)? else { return Ok(None) };
        content += frame.content;
        offset = frame.end;
    }
    Ok((offset == size).then_some(content))
}

struct Frame {
    content: u64,
    end: u64,
}

/// A frame whose descriptor is at `offset`.
fn zstd_frame(log: &LogFile, mut offset: u64) -> io::Result<Option<Frame>> {
    let Some([descriptor]) = at::<1>(log, offset)? else { return Ok(None) };
    let is_single = descriptor & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    offset += 1 + u64::from(!is_single) + dictionary;
    let content = match (descriptor >> 6, is_single) {
        (0, false) => return Ok(None),
        (0, true) => at::<1>(log, offset)?.map(|bytes| (u64::from(bytes[0]), 1)),
        (1, _) => at(log, offset)?.map(|bytes| (u64::from(u16::from_le_bytes(bytes)) + 256, 2)),
        (2, _) => at(log, offset)?.map(|bytes| (u64::from(u32::from_le_bytes(bytes)), 4)),
        _ => at(log, offset)?.map(|bytes| (u64::from_le_bytes(bytes), 8)),
    };
    let Some((content, length)) = content else { return Ok(None) };
    offset += length;
    loop {
        let Some([a, b, c]) = at::<3>(log, offset)? else { return Ok(None) };
        let head = u32::from_le_bytes([a, b, c, 0]);
        let (is_last, kind, size) = (head & 1 == 1, head >> 1 & 3, u64::from(head >> 3));
        // A block of one octet repeated has that octet only.
        offset += 3 + if kind == 1 { 1 } else { size };
        if is_last {
            break;
        }
    }
    let end = offset + if descriptor & 4 != 0 { 4 } else { 0 };
    Ok(Some(Frame { content, end }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn stated(content: &[u8]) -> Option<Stated> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("written");
        let log = LogFile::open(file.path()).expect("opened");
        Stated::of(&log).expect("read")
    }

    #[test]
    fn what_files_say() {
        let text = "a line\n".repeat(50_000);
        let length = u64::try_from(text.len()).expect("a length");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).expect("packed");
        let gzip = packer.finish().expect("packed");
        let options = lzma_rust2::XzOptions::with_preset(0);
        let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("a stream");
        packer.write_all(text.as_bytes()).expect("packed");
        let xz = packer.finish().expect("packed");
        // RFC 8878: a frame with a content size of two octets (256 + 44), a raw block of 200 and a repeated octet.
        let mut zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0x60, 44, 0];
        zstd.extend_from_slice(&[0x40, 6, 0]);
        zstd.extend_from_slice(&[b'x'; 200]);
        zstd.extend_from_slice(&[0x23, 3, 0, b'y']);
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let unstated = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 1, 0, 0];
        for (what, content, expected) in [
            ("plain", text.clone().into_bytes(), None),
            ("gzip", gzip, Some(Stated::Modulo32(350_000))),
            ("xz", xz.clone(), Some(Stated::Exact(length))),
            ("xz twice", [xz.clone(), xz.clone()].concat(), None),
            ("xz cut", xz[..xz.len() - 1].to_vec(), None),
            ("zstd", zstd.clone(), Some(Stated::Exact(300))),
            ("zstd twice", [&zstd[..], &skipped, &zstd].concat(), Some(Stated::Exact(600))),
            ("zstd cut", zstd[..zstd.len() - 1].to_vec(), None),
            ("zstd and more", [&zstd[..], b"x"].concat(), None),
            ("zstd without a size", unstated.to_vec(), None),
        ] {
            assert_eq!(stated(&content), expected, "{what}");
        }
    }

    /// As the usual programs write them, where these are installed.
    #[test]
    fn what_the_usual_programs_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let plain = folder.path().join("log");
        std::fs::write(&plain, "a line\n".repeat(300_000)).expect("written");
        for (program, end) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
            let done = std::process::Command::new(program).args(["-k", "-q"]).arg(&plain).status();
            if done.is_ok_and(|status| status.success()) {
                let log = LogFile::open(&plain.with_extension(end)).expect("opened");
                let stated = Stated::of(&log).expect("read");
                assert!(stated.is_some_and(|stated| stated.is(2_100_000)), "{program}: {stated:?}");
            }
        }
    }
}
