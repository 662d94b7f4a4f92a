//! From a request to its answer.
//!
//! In goes a request with the host that asks; out comes an answer, always: a verdict on the pair (on the client, where no
//! name was said) becomes the action that the configuration has for its class, with words. What Postfix asks of a user who logged in
//! or of a client whose address it does not know is `dunno`, and so is what cannot be judged within [`super::PostfixConfig::answer`]
//! or by a fault of ours.
//!
//! A header is given once for each message and where Postfix can take one; elsewhere it is `dunno`. If somebody learns, each message
//! is one observation ([`helostat_zones::postfix::transactions`] says what it may claim).
//!
//! Who may ask is the operator's own server: live look-ups are made for the names in its requests.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use helostat_zones::answer::{Answer, Opinion, dnswl};
use helostat_zones::key::Kind;
use helostat_zones::observation::Observation;
use helostat_zones::postfix::{Action, Request, Transactions};
use helostat_zones::verdict::{ClientVerdict, PairVerdict};
use parking_lot::Mutex;

use super::metrics::Metrics;
use super::{Learning, Results, Ways};
use crate::judge::{Asker, Judge};

/// So many messages are remembered, in some megabytes: those of the last seconds at 20,000 requests a second, and of
/// hours at most sites.
const REMEMBERED: usize = 1 << 17;

/// Answers requests.
pub struct Counsel<J> {
    judge: Arc<J>,
    ways: ArcSwap<Ways>,
    learning: Option<Learning>,
    transactions: Mutex<Transactions>,
    hashing: RandomState,
    metrics: Metrics,
    patience: Duration,
}

/// A verdict on what was asked about.
enum Verdict {
    Client(ClientVerdict),
    Pair(PairVerdict),
}

/// What a request comes to.
struct Advice {
    /// The class, or why there is none: a label.
    class: &'static str,
    action: Action,
    text: String,
}

impl Advice {
    fn nothing(class: &'static str) -> Self {
        Self { class, action: Action::Dunno, text: String::new() }
    }
}

impl<J: Judge> Counsel<J> {
    /// Verdicts come from `judge` and take at most `patience`; what is asked is told to `learning`, if there is any.
    pub fn new(
        judge: Arc<J>,
        ways: Ways,
        learning: Option<Learning>,
        patience: Duration,
        metrics: Metrics,
    ) -> Self {
        Self {
            judge,
            ways: ArcSwap::from_pointee(ways),
            learning,
            transactions: Mutex::new(Transactions::new(REMEMBERED)),
            hashing: RandomState::new(),
            metrics,
            patience,
        }
    }

    /// Does this with whom from now on.
    pub fn set_ways(&self, ways: Ways) {
        self.ways.store(Arc::new(ways));
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Appends the answer to what `peer` asks.
    pub(super) async fn answer(&self, request: &Request, peer: IpAddr, to: &mut Vec<u8>) {
        let start = Instant::now();
        let key = self.key(request, peer);
        let advice = self.advise(request, peer, key).await;
        advice.action.write(&advice.text, to);
        self.metrics.answered(advice.class, advice.action, start.elapsed());
        if !request.is_login {
            self.learn(request, key, advice.action);
        }
    }

    async fn advise(&self, request: &Request, peer: IpAddr, key: Option<u64>) -> Advice {
        if request.is_login {
            return Advice::nothing("login");
        }
        let Some(ip) = request.ip else { return Advice::nothing("no-address") };
        let ways = self.ways.load_full();
        let asker = Asker { ip: peer, trusted: true, in_words: ways.says_anything() };
        let judging = async {
            match &request.name {
                Some(name) => Verdict::Pair(self.judge.pair(ip, name, asker).await),
                None => Verdict::Client(self.judge.client(ip, asker).await),
            }
        };
        let verdict = match self.in_time(judging).await {
            Ok(verdict) => verdict,
            Err(why) => return Advice::nothing(why),
        };
        let opinion = match &verdict {
            Verdict::Client(verdict) => Opinion::from(verdict),
            Verdict::Pair(verdict) => Opinion::from(verdict),
        };
        let class = opinion.class.word();
        let subject = match &request.name {
            Some(name) => format!("{name},{ip}"),
            None => ip.to_string(),
        };
        let page = ways.page.as_deref();
        match ways.action(opinion.class) {
            Action::Dunno => Advice::nothing(class),
            Action::Prepend if !self.takes_header(request, key) => Advice::nothing(class),
            Action::Prepend => {
                let field = match &ways.results {
                    None => format!("{}: {}", ways.header, opinion.header(&subject, page)),
                    Some(results) => match self.results(results, ip, asker).await {
                        Ok(field) => field,
                        Err(why) => return Advice::nothing(why),
                    },
                };
                Advice { class, action: Action::Prepend, text: field }
            }
            action => Advice { class, action, text: opinion.refusal(&subject, page) },
        }
    }

    /// An Authentication-Results field on how a client stands on `wl`.
    async fn results(
        &self,
        results: &Results,
        ip: IpAddr,
        asker: Asker,
    ) -> Result<String, &'static str> {
        let verdict = self.in_time(self.judge.client(ip, asker)).await?;
        let answer = Answer::of_client(Kind::Wl, ip, &verdict, self.judge.now(), &results.caps);
        let words = dnswl(&results.zone, &answer);
        Ok(format!("Authentication-Results: {}; {words}", results.authserv_id))
    }

    /// Waits for a verdict, but not for ever; fails with what counts it.
    async fn in_time<T>(&self, judging: impl Future<Output = T>) -> Result<T, &'static str> {
        let mut judging = pin!(judging);
        // A panic of the judge must cost one answer, not a connection.
        let caught = poll_fn(|context| {
            let poll = || judging.as_mut().poll(context);
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(verdict)) => Poll::Ready(Ok(verdict)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(Err("fault")),
            }
        });
        let judged = tokio::time::timeout(self.patience, caught).await.unwrap_or(Err("answer"));
        match judged {
            Err("fault") => self.metrics.limit("fault"),
            Err(_) => self.metrics.limit("answer"),
            Ok(_) => {}
        }
        judged.map_err(|_| "not-judged")
    }

    fn takes_header(&self, request: &Request, key: Option<u64>) -> bool {
        let recipient = self.hashing.hash_one(&request.recipient);
        request.stage.takes_headers()
            && self.transactions.lock().give_header(key, recipient, self.judge.now())
    }

    fn learn(&self, request: &Request, key: Option<u64>, action: Action) {
        let Some(Learning { reporter, tell }) = &self.learning else { return };
        let (Some(ip), Some(name)) = (request.ip, &request.name) else { return };
        let now = self.judge.now();
        let lesson = self.transactions.lock().learn(key, request.stage, action, now);
        let Some(lesson) = lesson else { return };
        let learned = tell(&Observation {
            time: lesson.time,
            ip,
            name: name.clone(),
            rdns: request.rdns.clone(),
            outcome: lesson.outcome,
            stage: (!lesson.outcome.is_accepted()).then(|| request.stage.word()),
            by_us: action.refuses(),
            supersedes: lesson.supersedes,
            reporter: reporter.clone(),
        });
        if !learned {
            self.transactions.lock().unlearn(key, lesson);
            self.metrics.limit("queue");
        }
    }

    /// What all requests about one message have in common. Two servers may give the same `instance`.
    fn key(&self, request: &Request, peer: IpAddr) -> Option<u64> {
        let instance = &request.instance;
        (!instance.is_empty()).then(|| self.hashing.hash_one((peer, instance)))
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::name::Name;
    use helostat_zones::postfix::Requests;
    use helostat_zones::time::Time;
    use helostat_zones::verdict::{Class, NameVerdict};
    use prometheus::Registry;

    use super::*;

    const NOW: Time = Time(1_795_184_855);

    /// Says `listed` of every pair; has a fault where it is asked about a client, and never ends about one name.
    struct Strict;

    impl Judge for Strict {
        async fn client(&self, _ip: IpAddr, _asker: Asker) -> ClientVerdict {
            panic!("a fault of the judge, which this test is about")
        }

        async fn name(&self, _name: &Name, _asker: Asker) -> NameVerdict {
            NameVerdict::unknown(NOW)
        }

        async fn pair(&self, _ip: IpAddr, name: &Name, asker: Asker) -> PairVerdict {
            assert!(asker.trusted, "it is the operator's own server");
            if name.text() == "slow.example.com" {
                std::future::pending::<()>().await;
            }
            PairVerdict { class: Class::Listed, ..PairVerdict::unknown(NOW) }
        }

        fn names_below(&self, _suffix: &str) -> bool {
            false
        }

        fn pair_names_below(&self, _ip: IpAddr, _suffix: &str) -> bool {
            false
        }

        fn now(&self) -> Time {
            NOW
        }

        fn serial(&self) -> u32 {
            1
        }
    }

    fn counsel(room: usize) -> (Counsel<Strict>, Arc<Mutex<Vec<Observation>>>) {
        let ways = Ways {
            trusted: Action::Prepend,
            known: Action::Prepend,
            new: Action::Prepend,
            suspect: Action::Prepend,
            listed: Action::Reject,
            header: "X-Helostat".into(),
            page: None,
            results: None,
        };
        let told: Arc<Mutex<Vec<Observation>>> = Arc::default();
        let taken = told.clone();
        let tell = move |observation: &Observation| {
            let mut taken = taken.lock();
            let fits = taken.len() < room;
            if fits {
                taken.push(observation.clone());
            }
            fits
        };
        let learning = Learning { reporter: "mx1".into(), tell: Arc::new(tell) };
        let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
        let patience = Duration::from_millis(20);
        (Counsel::new(Arc::new(Strict), ways, Some(learning), patience, metrics), told)
    }

    async fn answer(counsel: &Counsel<Strict>, attributes: &str) -> String {
        let text =
            format!("request=smtpd_access_policy\nclient_address=192.0.2.7\n{attributes}\n\n");
        let mut requests = Requests::new(4096);
        requests.feed(text.as_bytes());
        let request = requests.next().expect("whole").expect("sound");
        let mut to = Vec::new();
        counsel.answer(&request, "127.0.0.1".parse().expect("an address"), &mut to).await;
        String::from_utf8(to).expect("ASCII")
    }

    #[tokio::test]
    async fn what_cannot_be_judged_is_dunno() {
        let (counsel, _) = counsel(10);
        for (attributes, limit) in
            [("protocol_state=CONNECT", "fault"), ("helo_name=slow.example.com", "answer")]
        {
            let before = counsel.metrics().limited(limit);
            assert_eq!(answer(&counsel, attributes).await, "action=dunno\n\n", "{attributes}");
            assert_eq!(counsel.metrics().limited(limit), before + 1, "{attributes}");
        }
        let refused = answer(&counsel, "helo_name=mail.example.com").await;
        assert!(refused.starts_with("action=reject helostat: listed score=50 "), "{refused}");
    }

    #[tokio::test]
    async fn what_finds_no_room_is_told_again() {
        let (counsel, told) = counsel(1);
        let of = |instance| {
            format!("protocol_state=RCPT\nhelo_name=mail.example.com\ninstance={instance}")
        };
        for instance in [1, 2, 2] {
            answer(&counsel, &of(instance)).await;
        }
        assert_eq!((told.lock().len(), counsel.metrics().limited("queue")), (1, 2));
        told.lock().clear();
        answer(&counsel, &of(2)).await;
        answer(&counsel, &of(2)).await;
        let told = told.lock();
        let [observation] = told.as_slice() else { panic!("one observation: {told:?}") };
        assert!(observation.by_us && observation.stage == Some("rcpt"), "{observation:?}");
    }
}
