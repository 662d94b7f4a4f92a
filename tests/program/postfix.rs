//! The policy service: answers for each class over TCP and unix sockets, what is learned of what is asked, clients that
//! misbehave, judges that are late, and the end.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use helostat_tests::mail::established;
use helostat_tests::program::{Daemon, PATIENCE, Random, Site, eventually, project_file};

/// A pair that stands, a client that is denied, and one that nobody knows.
const KNOWN: (&str, &str) = ("192.0.2.7", "mx.example.com");
const LISTED: (&str, &str) = ("198.51.100.130", "host.example.eu");
const NEW: (&str, &str) = ("203.0.113.9", "mail.example.org");

/// A site at which Postfix asks over TCP and at a file; `keys` are added to its section, `sections` behind it.
fn asked(keys: &str, sections: &str) -> Site {
    let site = Site::new(&format!(
        "[postfix]\nlisten = [\"127.0.0.1:0\", \"unix:policy\"]\n{keys}\n[[deny]]\nclient = \"{}\"\nreason = \"floods us\"\n{sections}",
        LISTED.0
    ));
    site.write("mail.log", established(KNOWN.0, KNOWN.1));
    site.ok(&["learn", "--reporter", "mx1", "mail.log"]);
    site
}

fn address(daemon: &Daemon) -> SocketAddr {
    let line = daemon.wait_said("listens for Postfix");
    let rest = line.split_once("endpoints=[\"").map(|(_, rest)| rest);
    let place = rest.and_then(|rest| rest.split('"').next()).unwrap_or_default();
    place.parse().unwrap_or_else(|_| panic!("{line}"))
}

/// What one smtpd process says and hears.
struct Smtpd<S>(S);

impl Smtpd<TcpStream> {
    fn tcp(daemon: &Daemon) -> Self {
        let stream = TcpStream::connect(address(daemon)).expect("it listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        Self(stream)
    }
}

impl Smtpd<UnixStream> {
    fn unix(site: &Site) -> Self {
        let stream = UnixStream::connect(site.path("policy")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        Self(stream)
    }
}

impl<S: Read + Write> Smtpd<S> {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it reads");
    }

    /// The next answer without its `action=`.
    fn hear(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            let mut byte = [0];
            let read = self.0.read(&mut byte).expect("an answer");
            assert!(read == 1, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.push(byte[0]);
        }
        let answer = String::from_utf8(answer).expect("ASCII");
        answer.trim_end().strip_prefix("action=").expect("an action").to_owned()
    }

    fn ask(&mut self, question: &Question<'_>) -> String {
        self.send(question.text().as_bytes());
        self.hear()
    }

    /// True once the other end has closed it.
    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 16]), Ok(0) | Err(_))
    }
}

/// A request as Postfix 3.7 writes it.
#[derive(Clone, Copy)]
struct Question<'a> {
    state: &'a str,
    ip: &'a str,
    name: &'a str,
    user: &'a str,
    instance: &'a str,
    recipient: &'a str,
}

fn about((ip, name): (&'static str, &'static str), instance: &'static str) -> Question<'static> {
    Question { state: "RCPT", ip, name, user: "", instance, recipient: "grace@site.test" }
}

impl Question<'_> {
    fn text(&self) -> String {
        let Self { state, ip, name, user, instance, recipient } = self;
        format!(
            "request=smtpd_access_policy\nprotocol_state={state}\nprotocol_name=ESMTP\nclient_address={ip}\nclient_name=unknown\n\
             client_port=40000\nreverse_client_name=unknown\nserver_address=192.0.2.250\nserver_port=25\nhelo_name={name}\n\
             sender=ada@sender.example\nrecipient={recipient}\nrecipient_count=0\nqueue_id=\ninstance={instance}\nsize=0\netrn_domain=\n\
             stress=\nsasl_method=\nsasl_username={user}\nsasl_sender=\nccert_subject=\nccert_issuer=\nccert_fingerprint=\n\
             ccert_pubkey_fingerprint=\nencryption_protocol=\nencryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n"
        )
    }
}

fn limit(daemon: &Daemon, limit: &str) -> f64 {
    daemon.metric("helostat_postfix_limits_total", &[("limit", limit)])
}

fn wait_limit(daemon: &Daemon, name: &str, times: f64) {
    eventually(format!("{times} times {name}"), || (limit(daemon, name) == times).then_some(()));
}

#[test]
fn each_class_has_its_answer() {
    let site = asked("", "");
    let daemon = site.start();
    let mut tcp = Smtpd::tcp(&daemon);
    let mut unix = Smtpd::unix(&site);
    for smtpd in [&mut tcp as &mut dyn FnMutAsk, &mut unix] {
        let known = smtpd.ask_one(&about(KNOWN, ""));
        assert!(known.starts_with("prepend X-Helostat: known established score="), "{known}");
        let new = smtpd.ask_one(&about(NEW, ""));
        assert!(new.starts_with("prepend X-Helostat: new score="), "{new}");
        let listed = smtpd.ask_one(&about(LISTED, ""));
        assert!(listed.starts_with("warn helostat: listed operator "), "{listed}");
        assert!(listed.contains("floods us"), "{listed}");
        let client = smtpd.ask_one(&Question { name: "", state: "CONNECT", ..about(LISTED, "") });
        assert!(client.starts_with("warn helostat: listed operator "), "{client}");
        for question in [
            Question { user: "ada", ..about(LISTED, "") },
            Question { ip: "unknown", ..about(LISTED, "") },
            Question { ip: "", ..about(LISTED, "") },
            // Where Postfix takes no header.
            Question { state: "END-OF-MESSAGE", ..about(KNOWN, "") },
            Question { state: "CONNECT", ..about(KNOWN, "") },
        ] {
            assert_eq!(smtpd.ask_one(&question), "dunno", "{}", question.text());
        }
        let six = ("2001:db8:99::1", "mail.example.org");
        let answer = smtpd.ask_one(&about(six, ""));
        assert!(answer.starts_with("prepend X-Helostat: new score="), "{answer}");
    }
    let counted = |class, action| {
        daemon.metric("helostat_postfix_requests_total", &[("class", class), ("action", action)])
    };
    assert_eq!((counted("known", "prepend"), counted("listed", "warn")), (2.0, 4.0));
    assert_eq!((counted("login", "dunno"), counted("no-address", "dunno")), (2.0, 4.0));
    assert_eq!(daemon.metric("helostat_postfix_answer_seconds_count", &[]), 20.0);
    assert_eq!(daemon.metric("helostat_postfix_connections", &[]), 2.0);

    // Enforced while the connections stand, and undone.
    let before = site.dump();
    site.rewrite(
        "[postfix]",
        "[postfix]\nlisted = \"reject\"\nnew = \"defer_if_permit\"\nknown = \"dunno\"",
    );
    site.rewrite(
        "origin = \"rep.test\"",
        "origin = \"rep.test\"\npage = \"https://rep.test/?q={}\"",
    );
    daemon.signal("HUP");
    daemon.wait_said("The configuration was read again");
    let listed = tcp.ask(&about(LISTED, ""));
    assert!(listed.starts_with("reject helostat: listed operator "), "{listed}");
    assert!(listed.ends_with(" https://rep.test/?q=host.example.eu,198.51.100.130"), "{listed}");
    let new = unix.ask(&about(NEW, ""));
    assert!(new.starts_with("defer_if_permit helostat: new score="), "{new}");
    assert_eq!(tcp.ask(&about(KNOWN, "")), "dunno");
    assert_eq!(site.dump(), before, "nothing is learned unless a reporter is named");
    daemon.stop();
}

/// Either of the transports.
trait FnMutAsk {
    fn ask_one(&mut self, question: &Question<'_>) -> String;
}

impl<S: Read + Write> FnMutAsk for Smtpd<S> {
    fn ask_one(&mut self, question: &Question<'_>) -> String {
        self.ask(question)
    }
}

#[test]
fn a_client_cannot_write_our_answer() {
    let site = asked("new = \"reject\"\nsuspect = \"reject\"\nlisted = \"reject\"", "");
    let daemon = site.start();
    let mut smtpd = Smtpd::tcp(&daemon);
    for name in [
        "x\taction=dunno",
        "helostat: $(id) `id` \"q\" <b> {page} \\",
        "\u{e9}\u{1f4a9}\u{202e}",
        &"a.".repeat(900),
    ] {
        let answer = smtpd.ask(&Question { name, ..about(NEW, "") });
        assert!(answer.starts_with("reject helostat: "), "{answer}");
        assert!(answer.len() < 300, "{answer}");
        assert!(answer.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{answer}");
        assert!(!answer.contains(['"', '$', '`', '<', '>', '{']), "{answer}");
    }
    daemon.stop();
}

#[test]
fn a_message_has_one_header_whoever_it_is_for() {
    let site = asked("", "");
    let daemon = site.start();
    let mut smtpd = Smtpd::tcp(&daemon);
    let first = about(KNOWN, "58.1.0");
    let second = Question { recipient: "ada@site.test", ..first };
    assert!(smtpd.ask(&first).starts_with("prepend "));
    assert_eq!(smtpd.ask(&second), "dunno");
    // Over another connection, and at a later stage of the same message.
    assert_eq!(
        Smtpd::unix(&site).ask(&Question { state: "DATA", recipient: "", ..first }),
        "dunno"
    );
    // It did not hear us, and asks again.
    assert!(Smtpd::tcp(&daemon).ask(&first).starts_with("prepend "));
    assert!(smtpd.ask(&about(KNOWN, "58.1.1")).starts_with("prepend "));
    daemon.stop();
}

#[test]
fn what_is_asked_is_learned_once() {
    let site =
        asked("reporter = \"mx7\"\nlisted = \"reject\"", "[ingest]\nown = [\"192.0.2.99\"]\n");
    let daemon = site.start();
    let mut smtpd = Smtpd::tcp(&daemon);
    // Two messages that were taken, each asked about five times.
    for instance in ["58.2.0", "58.2.1"] {
        for state in ["CONNECT", "MAIL", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE"] {
            let instance =
                if matches!(state, "RCPT" | "DATA" | "END-OF-MESSAGE") { instance } else { "" };
            smtpd.ask(&Question { state, instance, ..about(NEW, "") });
        }
    }
    // One that came no further than to its recipient; one that we refused; a user; one of ours.
    smtpd.ask(&about(("203.0.113.10", "slow.example.org"), "58.3.0"));
    for _ in 0..3 {
        assert!(smtpd.ask(&about(LISTED, "58.4.0")).starts_with("reject "));
    }
    let end = |who, instance| Question { state: "END-OF-MESSAGE", ..about(who, instance) };
    smtpd.ask(&Question { user: "ada", ..end(("203.0.113.11", "laptop.example.org"), "58.5.0") });
    smtpd.ask(&end(("192.0.2.99", "filter.example.org"), "58.6.0"));
    // What was learned is in the answers at once, and in the ledger after the end.
    daemon.wait_addresses("mail.example.org.9.113.0.203.pair", &["127.0.3.9"]);
    // The last words are learned, too.
    for n in 0..200 {
        let instance = format!("58.7.{n}");
        let name = format!("late{n}.example.org");
        smtpd.ask(&Question { name: &name, instance: &instance, ..end(("203.0.113.12", ""), "") });
    }
    daemon.stop();
    let pairs = site.pairs();
    let of = |name: &str| {
        let found = pairs.iter().find(|pair| pair.contains(&format!(r#""name":"{name}""#)));
        found.cloned().unwrap_or_default()
    };
    for (name, outcomes) in [
        (NEW.1, r#""outcomes":{"accepted":2}"#),
        ("slow.example.org", r#""outcomes":{"none":1}"#),
        (LISTED.1, r#""outcomes":{},"by_us":1"#),
    ] {
        let pair = of(name);
        assert!(pair.contains(outcomes) && pair.contains(r#""reporter":"mx7""#), "{name}: {pair}");
    }
    assert_eq!(
        (of("laptop.example.org"), of("filter.example.org")),
        (String::new(), String::new())
    );
    assert_eq!(pairs.iter().filter(|pair| pair.contains(r#""name":"late"#)).count(), 200);
}

#[test]
fn requests_come_in_any_pieces_and_several_at_once() {
    let site = asked("", "");
    let daemon = site.start();
    let mut random = Random(11);
    let mut smtpd = Smtpd::tcp(&daemon);
    let questions = [about(LISTED, ""), about(KNOWN, ""), Question { user: "u", ..about(NEW, "") }];
    let all: String = questions.iter().map(Question::text).collect();
    for _ in 0..20 {
        let mut rest = all.as_bytes();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(700) as usize).min(rest.len()));
            smtpd.send(piece);
            rest = later;
        }
        let answers = [smtpd.hear(), smtpd.hear(), smtpd.hear()];
        let words = answers.each_ref().map(|answer| answer.split(' ').next().unwrap_or_default());
        assert_eq!(words, ["warn", "prepend", "dunno"]);
    }
    // What Postfix 3.7 itself sent: 21 requests of four sessions.
    smtpd.send(project_file("zones/tests/golden/postfix-3.7.policy").as_bytes());
    for _ in 0..21 {
        smtpd.hear();
    }
    daemon.stop();
}

#[test]
fn who_misbehaves_costs_only_himself() {
    let site = asked(
        "stall = \"400ms\"\nrequest-length = \"4kB\"\nconnections = 12\nallow = [\"127.0.0.1\"]",
        "",
    );
    let daemon = site.start();
    let mut good = Smtpd::tcp(&daemon);
    let mut bad = Vec::new();
    for says in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\n",
        b"request=verify\n\n",
        b"\n",
        &[b'x'; 100_000],
        &b"sender=a@b\n".repeat(400),
        b"request=smtpd_access_policy\nprotocol_state=RCPT\n",
        b"r",
    ] {
        let mut smtpd = Smtpd::tcp(&daemon);
        smtpd.0.write_all(says).ok();
        bad.push(smtpd);
    }
    // One octet now and then is no progress.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut drip = Smtpd::tcp(&daemon);
            while drip.0.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        for _ in 0..10 {
            assert!(good.ask(&about(KNOWN, "")).starts_with("prepend "));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    for smtpd in &mut bad {
        assert!(smtpd.is_closed());
    }
    drop(bad);
    wait_limit(&daemon, "garbled", 4.0);
    wait_limit(&daemon, "request-length", 2.0);
    wait_limit(&daemon, "stall", 3.0);
    Smtpd::tcp(&daemon).send(b"request=smtpd_");
    wait_limit(&daemon, "cut", 1.0);
    // Who asks and does not take the answers.
    let mut deaf = Smtpd::tcp(&daemon);
    let many = about(LISTED, "").text().repeat(50);
    deaf.0.set_write_timeout(Some(Duration::from_millis(200))).expect("an option");
    while deaf.0.write_all(many.as_bytes()).is_ok() {}
    wait_limit(&daemon, "stall", 4.0);
    drop(deaf);
    // From where nobody may ask.
    let stranger = socket_from("127.0.0.9", address(&daemon));
    assert!(Smtpd(stranger).is_closed());
    wait_limit(&daemon, "allow", 1.0);
    // Twelve at once, and no more, whatever the transport.
    assert!(good.ask(&about(KNOWN, "")).starts_with("prepend "), "it is still open");
    eventually("the others to be gone", || {
        (daemon.metric("helostat_postfix_connections", &[]) == 1.0).then_some(())
    });
    let all: Vec<_> = (0..11).map(|_| Smtpd::unix(&site)).collect();
    eventually("twelve connections", || {
        (daemon.metric("helostat_postfix_connections", &[]) == 12.0).then_some(())
    });
    assert!(Smtpd::tcp(&daemon).is_closed());
    wait_limit(&daemon, "connections", 1.0);
    drop(all);
    assert!(good.ask(&about(KNOWN, "")).starts_with("prepend "), "it goes on");
    daemon.stop();
}

#[test]
fn silence_between_requests_ends_a_connection() {
    let site = asked("idle = \"1s\"", "");
    let daemon = site.start();
    let mut silent: Vec<_> = (0..3).map(|_| Smtpd::unix(&site)).collect();
    for smtpd in &mut silent {
        assert!(smtpd.is_closed());
    }
    wait_limit(&daemon, "idle", 3.0);
    daemon.stop();
}

fn socket_from(from: &str, to: SocketAddr) -> TcpStream {
    // The standard library binds no client, so a process that can does it: all of 127/8 is ours.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let from: SocketAddr = format!("{from}:0").parse().expect("an address");
    socket.bind(&from.into()).expect("Linux has all of 127/8");
    socket.connect(&to.into()).expect("it listens");
    socket.into()
}

#[test]
fn a_verdict_that_is_late_is_none() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let resolver = silent.local_addr().expect("bound");
    let site = asked("answer = \"100ms\"", "");
    site.rewrite("enabled = false", &format!("resolver = [\"{resolver}\"]\nwait = \"5s\""));
    let daemon = site.start();
    let begun = Instant::now();
    assert_eq!(Smtpd::tcp(&daemon).ask(&about(NEW, "")), "dunno");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(2), "{took:?}");
    wait_limit(&daemon, "answer", 1.0);
    // What needs no look-up is said at once: the operator's word.
    assert_eq!(daemon.metric("helostat_postfix_requests_total", &[("class", "not-judged")]), 1.0);
    daemon.stop();
}

#[test]
fn with_an_authserv_id_the_header_is_that_of_rfc_8904() {
    let site = asked("authserv-id = \"mx1.site.test\"", "");
    site.write("strong.log", {
        let mut log = String::new();
        for days in (1..15).rev() {
            log.push_str(&helostat_tests::mail::postfix(
                helostat_tests::mail::days_ago(days),
                "192.0.2.8",
                "out.example.com",
            ));
        }
        log
    });
    site.ok(&["learn", "--reporter", "mx1", "strong.log"]);
    let daemon = site.start();
    let mut smtpd = Smtpd::tcp(&daemon);
    let head = "prepend Authentication-Results: mx1.site.test; dnswl=";
    let strong = smtpd.ask(&about(("192.0.2.8", "out.example.com"), ""));
    let pass = format!("{head}pass dns.zone=wl.rep.test policy.ip=127.0.");
    assert!(strong.starts_with(&pass) && strong.contains(" policy.txt=\"trusted "), "{strong}");
    assert!(strong.ends_with('"'), "{strong}");
    let new = smtpd.ask(&about(NEW, ""));
    assert_eq!(new, format!("{head}none dns.zone=wl.rep.test"));
    daemon.stop();
}

#[test]
fn a_socket_file_comes_and_goes_with_the_daemon() {
    let site = asked("socket-mode = \"0600\"", "");
    let daemon = site.start();
    let file = site.path("policy");
    let mode = fs::metadata(&file).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    daemon.kill();
    assert!(file.exists(), "nobody took it away");
    let daemon = site.start();
    assert!(Smtpd::unix(&site).ask(&about(KNOWN, "")).starts_with("prepend "));
    // A second daemon takes nothing away from the first.
    let other = Site::following(&["mail.log"]);
    let section = format!("[postfix]\nlisten = [\"unix:{}\"]\n[[zone]]", file.display());
    other.rewrite("[[zone]]", &section);
    let said = format!(
        "helostat: cannot listen on unix:{} (policy service for Postfix): address in use",
        file.display()
    );
    other.fails(&["run"], 4, &[&said]);
    assert!(Smtpd::unix(&site).ask(&about(KNOWN, "")).starts_with("prepend "));
    daemon.stop();
    assert!(!file.exists());
}

#[test]
fn open_connections_do_not_hold_the_end_back() {
    let site = asked("reporter = \"mx7\"", "");
    let daemon = site.start();
    let mut open: Vec<_> = (0..50).map(|_| Smtpd::tcp(&daemon)).collect();
    for smtpd in &mut open {
        smtpd.ask(&about(KNOWN, ""));
        smtpd.send(b"request=smtpd_access_policy\n");
    }
    let (code, took, said) = daemon.end("TERM");
    assert_eq!(code, 0, "{said:#?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    for smtpd in &mut open {
        assert!(smtpd.is_closed());
    }
}
