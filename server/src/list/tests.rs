use std::fs;

use helostat_zones::lists::{ListAnswer, Wanted};

use super::*;

const NOW: Time = Time(1_795_184_855);

fn list(file: &Path) -> List {
    List::new(ListConfig {
        zone: "bl.test".into(),
        datasets: vec![DatasetConfig { format: Format::Ip4Set, files: vec![file.into()] }],
        name_servers: vec!["ns.bl.test".into()],
        allow: vec![],
        rname: "hostmaster.bl.test".into(),
        ttl: 2100,
        negative_ttl: 60,
        decides: None,
    })
    .expect("sound")
}

/// Which of 192.0.2.1 to 192.0.2.3 are listed; `None` if the zone may not answer.
fn listed(list: &List, now: Time) -> Option<Vec<u8>> {
    let held = list.held();
    let zone = held.zone(now)?;
    let mut answer = ListAnswer::default();
    let mut is_listed = |last: &u8| {
        let last = last.to_string();
        zone.ask(&[last.as_bytes(), b"2", b"0", b"192"], Wanted::A, &mut answer);
        !answer.a.values.is_empty()
    };
    Some([1, 2, 3].into_iter().filter(|last| is_listed(last)).collect())
}

#[test]
fn a_changed_file_comes_in_whole_and_a_bad_one_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad");
    let list = list(&file);
    assert_eq!(listed(&list, NOW), None, "nothing was read yet");
    let [report] = &list.refresh(NOW)[..] else { panic!("one dataset") };
    assert!(report.result.is_err(), "there is no file");
    assert!(list.refresh(NOW).is_empty(), "nor has one come");

    fs::write(&file, "192.0.2.1\nwhat\n").expect("written");
    let [Report { result: Ok(read), .. }] = &list.refresh(NOW)[..] else { panic!("it is there") };
    assert_eq!((read.entries, read.complaints.count), (1, 1));
    assert_eq!(listed(&list, NOW), Some(vec![1]));
    assert!(list.refresh(NOW).is_empty(), "read once");

    // Gzipped, under the same name.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"192.0.2.2\n192.0.2.3\n").expect("memory");
    fs::write(&file, gzip.finish().expect("memory")).expect("written");
    assert_eq!(list.refresh(NOW).len(), 1);
    assert_eq!(listed(&list, NOW), Some(vec![2, 3]));

    for broken in [&b"\x1f\x8bno gzip"[..], b"$MAXRANGE4\n$DATASET x\n"] {
        let next = folder.path().join("next");
        fs::write(&next, broken).expect("written");
        fs::rename(&next, &file).expect("renamed");
        let [report] = &list.refresh(NOW)[..] else { panic!("it has changed") };
        if report.result.is_err() {
            assert_eq!(listed(&list, NOW), Some(vec![2, 3]), "what was there stays");
        }
    }
    fs::remove_file(&file).expect("removed");
    let [report] = &list.refresh(NOW)[..] else { panic!("it has gone") };
    assert!(report.result.is_err());
    assert!(listed(&list, NOW).is_some());
}

#[test]
fn what_has_expired_is_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad");
    // Expires an hour after it was made.
    fs::write(&file, "$TIMESTAMP 2026:11:20:14:00:00 +1h\n192.0.2.1\n").expect("written");
    let list = list(&file);
    assert!(list.refresh(NOW).iter().all(|report| report.result.is_ok()));
    assert_eq!(listed(&list, NOW), Some(vec![1]));
    assert_eq!(listed(&list, Time(NOW.0 + 3600)), None);
}

#[test]
fn soa_and_ns_come_from_the_file_or_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad");
    let list = list(&file);
    let soa = |list: &List| list.held().authority.soa(list.apex().clone(), 5).to_string();
    fs::write(&file, "192.0.2.1\n").expect("written");
    list.refresh(NOW);
    assert!(soa(&list).contains("ns.bl.test. hostmaster.bl.test."), "{}", soa(&list));
    assert_eq!(list.held().negative_ttl(), 60);
    fs::write(&file, "$SOA 600 a.test b.test 7 1h 2h 3h 5m\n$NS 600 a.test b.test\n192.0.2.1\n")
        .expect("written");
    list.refresh(NOW);
    assert!(soa(&list).ends_with("a.test. b.test. 7 3600 7200 10800 300"), "{}", soa(&list));
    assert_eq!(list.held().negative_ttl(), 300);
    assert_eq!(list.held().authority.ns(list.apex()).len(), 2);
}
