//! The operator's own lists.

use std::io::BufReader;
use std::sync::Arc;

use helostat_zones::answer::Exists;
use helostat_zones::lists::{
    COMPLAINTS_MAX, Complaint, Complaints, Dataset, Format, ListAnswer, ListZone, LoadError,
    Loader, Options, Wanted,
};
use helostat_zones::time::Time;

/// Lines of which names to ask for are made.
const ASKED: usize = 30;

/// A file of a dataset: the first octet says which format the rest has. It is the same however it comes in pieces, what is
/// wrong has a place in it, and whatever its names are asked for gets an answer that can be sent; no name lies
/// below one that does not exist.
pub fn list_file(bytes: &[u8]) {
    let Some((&first, file)) = bytes.split_first() else { return };
    let format = Format::ALL[usize::from(first) % Format::ALL.len()];
    let whole = load(format, file, file.len().max(1));
    match (&whole, load(format, file, 7)) {
        (Ok((_, complaints)), Ok((_, again))) => assert_eq!(*complaints, again, "in pieces"),
        (Err(error), Err(again)) => assert_eq!(error.to_string(), again.to_string(), "in pieces"),
        (_, again) => panic!("whole it loads or not, in pieces {:?}", again.map(|_| ())),
    }
    let (dataset, complaints) = match whole {
        Ok(loaded) => loaded,
        Err(LoadError::Broken(complaint)) => return check_place(&complaint, file),
        Err(error) => panic!("memory reads: {error}"),
    };
    assert!(complaints.kept.len() <= COMPLAINTS_MAX);
    assert!(complaints.kept.len() as u64 <= complaints.count);
    complaints.kept.iter().for_each(|complaint| check_place(complaint, file));
    let zone = ListZone::new(vec![Arc::new(dataset)]);
    for line in file.split(|&octet| octet == b'\n').take(ASKED) {
        for word in line.split(|octet| b" \t/-!#;".contains(octet)).take(4) {
            let mut labels: Vec<&[u8]> = word
                .split(|octet| b".:*".contains(octet))
                .filter(|label| (1..64).contains(&label.len()))
                .collect();
            check_name(&zone, &labels);
            labels.reverse();
            check_name(&zone, &labels);
        }
    }
}

fn load(format: Format, file: &[u8], piece: usize) -> Result<(Dataset, Complaints), LoadError> {
    let mut loader = Loader::new(format, Options::new(Time(1_795_184_855)));
    loader.read("list", BufReader::with_capacity(piece, file))?;
    let loaded = loader.finish();
    Ok((loaded.dataset, loaded.complaints))
}

fn check_place(complaint: &Complaint, file: &[u8]) {
    assert!(!complaint.what.is_empty() && !complaint.remedy.is_empty(), "{complaint:?}");
    let Some(above) = complaint.line.checked_sub(1) else { return };
    let line = file.split(|&octet| octet == b'\n').nth(above as usize);
    let line = line.unwrap_or_else(|| panic!("{complaint} is in no line"));
    assert!(complaint.column <= line.len() + 1, "{complaint} is beside its line");
}

fn check_name(zone: &ListZone, labels: &[&[u8]]) {
    let ask = |labels: &[&[u8]], wanted| {
        let mut answer = ListAnswer::default();
        zone.ask(labels, wanted, &mut answer);
        answer
    };
    let answer = ask(labels, Wanted::Any);
    assert!(answer.txt.values.iter().all(|text| text.len() <= 255), "{answer:?}");
    let count = answer.a.values.len() + answer.txt.values.len() + answer.mx.values.len();
    assert_eq!(count > 0, answer.exists == Exists::Exists, "{answer:?}");
    assert_eq!(ask(labels, Wanted::A).a, answer.a, "{labels:?}");
    let capitals: Vec<_> = labels.iter().map(|label| label.to_ascii_uppercase()).collect();
    let capitals: Vec<_> = capitals.iter().map(Vec::as_slice).collect();
    assert_eq!(ask(&capitals, Wanted::Any), answer, "in capitals: {labels:?}");
    if let (true, Some((_, above))) = (answer.exists != Exists::NxDomain, labels.split_first()) {
        assert_ne!(ask(above, Wanted::Any).exists, Exists::NxDomain, "above {labels:?}");
    }
}
