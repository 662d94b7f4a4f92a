//! The operator's own lists: served, changed, broken, mended.

use std::fs;

use helostat_tests::program::{Site, eventually};

const LIST: &str = "[[list]]\norigin = \"bl.test\"\ndata = [\"ip4set:bad\", \"dnset:names\"]\n";
const ADDRESSES: &str = "127.0.0.2\n192.0.2.7 :4:floods us, $\n198.51.100.0/24\n!198.51.100.9\n";

fn site(addresses: &str) -> Site {
    let site = Site::new(LIST);
    site.rewrite("[dns]", "[dns]\nlist-check = \"1s\"");
    site.write("bad", addresses);
    site.write("names", ":127.0.0.3:a bad name\n.bad.example\n");
    site
}

/// Puts a new file in the place of the old one, as who makes lists should.
fn replace(site: &Site, content: &str) {
    site.write("next", content);
    fs::rename(site.path("next"), site.path("bad")).expect("renamed");
}

#[test]
fn a_list_is_served_and_follows_its_file() {
    let site = site(ADDRESSES);
    assert!(site.ok(&["check"]).ends_with(": ok\n"));
    let daemon = site.start();
    let values = |name: &str| {
        let reply = daemon.ask(&format!("{name}.bl.test"), "A");
        reply.answers.into_iter().map(|record| record.data).collect::<Vec<_>>()
    };
    for (name, value) in [
        ("2.0.0.127", Some("127.0.0.2")),
        ("7.2.0.192", Some("127.0.0.4")),
        ("8.2.0.192", None),
        ("1.100.51.198", Some("127.0.0.2")),
        ("9.100.51.198", None),
        ("bad.example", Some("127.0.0.3")),
        ("mail.bad.example", Some("127.0.0.3")),
        ("good.example", None),
    ] {
        assert_eq!(values(name).first().map(String::as_str), value, "{name}");
    }
    let text = daemon.ask("7.2.0.192.bl.test", "TXT");
    let text = &text.answers.first().expect("a text").data;
    assert!(text.contains("floods us, 192.0.2.7"), "{text}");
    for (name, rcode) in [("8.2.0.192", "NXDOMAIN"), ("2.0.192", "NOERROR"), ("x.y", "NXDOMAIN")] {
        assert_eq!(daemon.ask(&format!("{name}.bl.test"), "A").rcode, rcode, "{name}");
    }
    let soa = daemon.ask("bl.test", "SOA");
    assert!(soa.answers[0].data.starts_with("ns.bl.test. hostmaster.bl.test. "), "{soa:?}");

    // A line that says nothing is skipped and told, the others hold.
    replace(&site, "192.0.2.8\nwhat is this\n");
    eventually("the new file", || (values("8.2.0.192") == ["127.0.0.2"]).then_some(()));
    assert!(values("7.2.0.192").is_empty());
    daemon.wait_said("bad:2");
    let metrics = daemon.get("/metrics").1;
    let skipped = metrics.lines().find(|line| line.starts_with("helostat_list_skipped_lines"));
    assert!(skipped.is_some_and(|line| line.ends_with(" 1")), "{skipped:?}");

    // A file that is gone takes nothing away.
    fs::remove_file(site.path("bad")).expect("removed");
    daemon.wait_said("what was read before stays");
    assert_eq!(values("8.2.0.192"), ["127.0.0.2"]);
    let done = site.run(&["check"]);
    assert_eq!(done.code, 0, "the other zones are needed all the same");
    assert!(done.stderr.contains("would answer SERVFAIL for bl.test"), "{}", done.stderr);
    site.write("bad", ADDRESSES);
    eventually("the file again", || (values("7.2.0.192") == ["127.0.0.4"]).then_some(()));
}

#[test]
fn a_list_decides_behind_what_was_decided_one_by_one() {
    let site = site(ADDRESSES);
    site.rewrite("\"dnset:names\"]", "\"dnset:names\"]\ndecides = \"deny\"");
    site.append(
        "helostat.toml",
        "[[list]]\norigin = \"friends.test\"\ndata = [\"ip4set:good\"]\ndecides = \"allow\"\n",
    );
    site.write("good", "192.0.2.7\n203.0.113.0/24 :2:our customers\n");
    let explained = |ip: &str| site.ok(&["explain", ip]);
    // Without the daemon, too.
    let said = explained("203.0.113.1");
    let own = "Your own decision: allow 203.0.113.1: our customers [list friends.test]. ";
    assert!(said.contains(own), "{said}");

    let daemon = site.start();
    let (denied, allowed) = (&["127.0.0.2", "127.0.0.99"][..], &["127.0.9.3"][..]);
    for (client, bl, wl) in [
        ("7.2.0.192", denied, &[][..]),
        ("1.100.51.198", denied, &[]),
        ("9.100.51.198", &[], &[]),
        ("1.113.0.203", &[], allowed),
        ("8.2.0.192", &[], &[]),
    ] {
        // Twice: judged, and said again.
        for _ in 0..2 {
            assert_eq!(daemon.addresses(&format!("{client}.bl")), bl, "{client}");
            assert_eq!(daemon.addresses(&format!("{client}.wl")), wl, "{client}");
        }
    }
    assert_eq!(daemon.addresses("mail.bad.example.ehlo"), ["127.0.1.2"], "a name of the list");
    let pair = daemon.addresses("mail.bad.example.8.2.0.192.pair");
    assert_eq!(pair, denied, "and whoever says it");
    let text = daemon.ask("7.2.0.192.bl.rep.test", "TXT");
    let text = &text.answers.first().expect("a text").data;
    assert!(text.contains("decision=deny") && text.contains("floods us, 192.0.2.7"), "{text}");
    let said = explained("198.51.100.1");
    assert!(said.contains("deny 198.51.100.1: in the list bl.test [list bl.test]"), "{said}");
    assert!(said.contains("is taken out of the files of the list bl.test"), "{said}");

    // One by one goes before.
    site.ok(&["allow", "192.0.2.7", "--reason", "mended"]);
    daemon.wait_addresses("7.2.0.192.wl", allowed);
    assert!(daemon.addresses("7.2.0.192.bl").is_empty());
    assert_eq!(daemon.addresses("1.100.51.198.bl"), denied, "lists stay over a reload");
    site.ok(&["decisions", "remove", "192.0.2.7"]);
    daemon.wait_addresses("7.2.0.192.bl", denied);

    replace(&site, "192.0.2.8\n");
    daemon.wait_addresses("8.2.0.192.bl", denied);
    assert_eq!(daemon.addresses("7.2.0.192.wl"), allowed, "denied no more");
    assert!(daemon.addresses("1.100.51.198.bl").is_empty());
    // A file that cannot be read changes nothing.
    site.write("next", b"\x1f\x8bno gzip");
    fs::rename(site.path("next"), site.path("bad")).expect("renamed");
    daemon.wait_said("what was read before stays");
    assert_eq!(daemon.addresses("8.2.0.192.bl"), denied);
    // The end of the zone is not the end of what it decides.
    site.ok(&["retire", "bl.test"]);
    assert!(daemon.ask("8.2.0.192.bl.test", "A").answers.is_empty());
    assert_eq!(daemon.addresses("8.2.0.192.bl"), denied);
    daemon.stop();
}

#[test]
fn without_its_files_a_list_answers_neither_yes_nor_no() {
    let site = site(ADDRESSES);
    fs::remove_file(site.path("bad")).expect("removed");
    let daemon = site.start();
    assert_eq!(daemon.ask("7.2.0.192.bl.test", "A").rcode, "SERVFAIL");
    assert_eq!(daemon.ask("7.2.0.192.bl.rep.test", "A").rcode, "NXDOMAIN", "the others go on");
}

#[test]
fn mistakes_have_a_place() {
    for (section, says) in [
        (
            "[[list]]\norigin = \"bl.test\"\ndata = [\"ip4st:bad\"]\n",
            "14:9: `data` in [[list]] has an item that should be a format, a colon, and files with commas between them such as \"ip4set:bad-clients\", but is the text \"ip4st:bad\": there is no format \"ip4st\", did you mean ip4set?",
        ),
        (
            "[[list]]\norigin = \"bl.test\"\n",
            "12:1: `data` is missing in [[list]]; write data = [\"ip4set:bad-clients\"]",
        ),
        (
            "[[list]]\norigin = \"bl.rep.test\"\ndata = [\"ip4set:bad\"]\n",
            "13:1: the zone bl.rep.test is there already at $DIR/helostat.toml:11:1",
        ),
    ] {
        let site = Site::new(section);
        site.write("bad", "");
        site.fails(&["check"], 2, &[&format!("helostat: $DIR/helostat.toml:{says}")]);
    }
}
