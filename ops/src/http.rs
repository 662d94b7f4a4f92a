//! HTTP of the daemon: health, metrics and explanations on a loopback port; and the same with the
//! ledger's own calls on the control socket, which only the owner of the ledger may open.
//!
//! | path | answer |
//! |---|---|
//! | `/` | what there is, for a browser |
//! | `/healthz` | 200 or 503 and a JSON report |
//! | `/metrics` | Prometheus text |
//! | `/v1/explain?ip=..&ehlo=..` | everything known, as JSON; `&as=text` in words |
//! | `/v1/ledger/dump?positions=..`, `/v1/ledger/stats?top=..`, `/v1/positions?prefix=..` | control socket only |
//! | `POST /v1/export` | control socket only: an order in, the file, an octet 0 and the summary out |
//! | `POST /v1/batch`, `POST /v1/ledger/forget`, `POST /v1/ledger/snapshot` | control socket only |
//! | `/v1/publish`, `POST /v1/publish/force` | control socket only: what guards hold back; lets it go |
//! | `POST /v1/reload` | control socket only: reads the configuration again, as SIGHUP does, and says how that went |
//!
//! Every answer that is built from text of others is JSON or plain text, never HTML, so nothing a client
//! said in EHLO can become markup.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use helostat_server::ledger_judge::LedgerJudge;
use helostat_zones::ledger::Batch;
use helostat_zones::name::Name;
use prometheus::{Registry, TextEncoder};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::command::export;
use crate::command::ledger::forget::{self, ForgetError};
use crate::command::ledger::snapshot;
use crate::command::ledger::stats::Stats;
use crate::guards;
use crate::health::Health;
use crate::snapshots::Keeper;
use crate::stream::written_while_sent;

/// The largest batch taken over the control socket: 10,000 observations are about 2 MB.
const BATCH_MAX: usize = 64 << 20;

/// Asks the daemon to read its configuration again; it says whether it was taken over, or why not.
pub type Reload = oneshot::Sender<Result<(), String>>;

/// What the pages need.
#[derive(Clone)]
pub struct Pages {
    /// How things stand.
    pub health: Arc<Health>,
    /// The counters.
    pub registry: Registry,
    /// Who explains; nobody before the ledger is open.
    pub judge: Arc<OnceLock<Arc<LedgerJudge>>>,
    /// Who takes snapshots; nobody before the ledger is open.
    pub keeper: Arc<OnceLock<Arc<Keeper>>>,
    /// Who reads the configuration again.
    pub reload: mpsc::Sender<Reload>,
}

impl Pages {
    fn judge(&self) -> Result<Arc<LedgerJudge>, TooEarly> {
        self.judge.get().cloned().ok_or(TooEarly)
    }
}

/// Asked before the ledger is open.
struct TooEarly;

impl IntoResponse for TooEarly {
    fn into_response(self) -> Response {
        sentence(StatusCode::SERVICE_UNAVAILABLE, "the ledger is not open yet")
    }
}

/// The pages for everybody on this machine.
pub fn public(pages: Pages) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/v1/explain", get(explain))
        .with_state(pages)
}

/// The public pages and the calls for who owns the ledger.
pub fn control(pages: Pages) -> Router {
    let private = Router::new()
        .route("/v1/ledger/dump", get(dump))
        .route("/v1/ledger/stats", get(stats))
        .route("/v1/ledger/forget", post(forget))
        .route("/v1/ledger/snapshot", post(snapshot))
        .route("/v1/positions", get(positions))
        .route("/v1/publish", get(publish))
        .route("/v1/publish/force", post(force))
        .route("/v1/batch", post(batch))
        .route("/v1/export", post(export))
        .route("/v1/reload", post(reload))
        .layer(DefaultBodyLimit::max(BATCH_MAX))
        .with_state(pages.clone());
    public(pages).merge(private)
}

async fn index() -> Html<&'static str> {
    Html(include_str!("index.html"))
}

async fn healthz(State(pages): State<Pages>) -> Response {
    let mut report = pages.health.report();
    if let Ok(judge) = pages.judge() {
        report.warnings.extend(guards::warning(&judge.guarding()));
    }
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn metrics(State(pages): State<Pages>) -> Response {
    // Gathering walks the ledger's tables: not on the threads that answer.
    let text = tokio::task::spawn_blocking(move || {
        TextEncoder::new().encode_to_string(&pages.registry.gather())
    });
    match text.await {
        Ok(Ok(text)) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
                .into_response()
        }
        Ok(Err(error)) => sentence(StatusCode::INTERNAL_SERVER_ERROR, error),
        Err(error) => sentence(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

#[derive(Deserialize)]
struct ExplainQuery {
    ip: Option<String>,
    ehlo: Option<String>,
    #[serde(rename = "as")]
    form: Option<String>,
}

async fn explain(
    State(pages): State<Pages>,
    Query(query): Query<ExplainQuery>,
) -> Result<Response, TooEarly> {
    let Some(ip) = query.ip.as_deref().map(str::trim) else {
        return Ok(sentence(
            StatusCode::BAD_REQUEST,
            "the parameter ip is missing: /v1/explain?ip=192.0.2.7&ehlo=mail.example.com",
        ));
    };
    let Ok(ip) = ip.parse::<IpAddr>() else {
        return Ok(sentence(
            StatusCode::BAD_REQUEST,
            format!("'{}' is not an IP address", ip.escape_default()),
        ));
    };
    let said = query.ehlo.as_deref().map(str::trim).filter(|said| !said.is_empty());
    let name = said.map(|said| Name::parse(said.as_bytes()));
    let explanation = pages.judge()?.explain(ip, name.as_ref()).await;
    Ok(match query.form.as_deref() {
        Some("text") => explanation.to_string().into_response(),
        None | Some("json") => axum::Json(explanation).into_response(),
        Some(_) => sentence(StatusCode::BAD_REQUEST, "as is json or text"),
    })
}

#[derive(Deserialize)]
struct DumpQuery {
    #[serde(default)]
    positions: bool,
}

async fn dump(
    State(pages): State<Pages>,
    Query(query): Query<DumpQuery>,
) -> Result<Response, TooEarly> {
    let judge = pages.judge()?;
    let lines = written_while_sent(move |to| judge.ledger().dump(to, query.positions));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

#[derive(Deserialize)]
struct StatsQuery {
    top: Option<u16>,
}

async fn stats(
    State(pages): State<Pages>,
    Query(query): Query<StatsQuery>,
) -> Result<Response, TooEarly> {
    let judge = pages.judge()?;
    let count = move || axum::Json(Stats::of(judge.ledger(), query.top)).into_response();
    Ok(aside(count).await)
}

async fn forget(State(pages): State<Pages>, body: Bytes) -> Result<Response, TooEarly> {
    let request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return Ok(sentence(StatusCode::BAD_REQUEST, error)),
    };
    let judge = pages.judge()?;
    let answer = move || match forget::answer(judge.ledger(), &request) {
        Ok(gone) => axum::Json(gone).into_response(),
        Err(error @ ForgetError::Nobody(_)) => sentence(StatusCode::BAD_REQUEST, error),
        Err(error) => sentence(StatusCode::INSUFFICIENT_STORAGE, error),
    };
    Ok(aside(answer).await)
}

async fn export(State(pages): State<Pages>, body: Bytes) -> Result<Response, TooEarly> {
    let order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return Ok(sentence(StatusCode::BAD_REQUEST, error)),
    };
    let judge = pages.judge()?;
    let file = written_while_sent(move |to| export::answer(&judge, &order, to));
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], file).into_response())
}

async fn snapshot(State(pages): State<Pages>) -> Result<Response, TooEarly> {
    let keeper = pages.keeper.get().cloned().ok_or(TooEarly)?;
    let body = written_while_sent(move |to| snapshot::answer(&keeper, to));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Makes an answer that may wait for a lock or a disk: not on the threads that answer.
async fn aside(make: impl FnOnce() -> Response + Send + 'static) -> Response {
    let made = tokio::task::spawn_blocking(make).await;
    made.unwrap_or_else(|error| sentence(StatusCode::INTERNAL_SERVER_ERROR, error))
}

#[derive(Deserialize)]
struct PositionsQuery {
    prefix: String,
}

async fn positions(
    State(pages): State<Pages>,
    Query(query): Query<PositionsQuery>,
) -> Result<Response, TooEarly> {
    let judge = pages.judge()?;
    Ok(aside(move || axum::Json(judge.ledger().positions(&query.prefix)).into_response()).await)
}

async fn batch(State(pages): State<Pages>, body: Bytes) -> Result<Response, TooEarly> {
    let batch = match Batch::from_bytes(&body) {
        Ok(batch) => batch,
        Err(error) => {
            let why = format!("the batch cannot be read: {error}");
            return Ok(sentence(StatusCode::BAD_REQUEST, why));
        }
    };
    let judge = pages.judge()?;
    let done = tokio::task::spawn_blocking(move || judge.ledger().commit(&batch));
    Ok(match done.await {
        Ok(Ok(committed)) => format!("{}\n", committed.seq).into_response(),
        Ok(Err(error)) => sentence(StatusCode::INSUFFICIENT_STORAGE, error),
        Err(error) => sentence(StatusCode::INTERNAL_SERVER_ERROR, error),
    })
}

async fn publish(State(pages): State<Pages>) -> Result<Response, TooEarly> {
    let judge = pages.judge()?;
    Ok(aside(move || axum::Json(judge.guarding()).into_response()).await)
}

async fn force(State(pages): State<Pages>) -> Result<Response, TooEarly> {
    let judge = pages.judge()?;
    let force = move || {
        judge.force();
        "what was held back is said\n".into_response()
    };
    Ok(aside(force).await)
}

async fn reload(State(pages): State<Pages>) -> Response {
    let (done, taken) = oneshot::channel();
    let ending = || sentence(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending");
    if pages.reload.send(done).await.is_err() {
        return ending();
    }
    match taken.await {
        Ok(Ok(())) => "the configuration was read again\n".into_response(),
        Ok(Err(why)) => sentence(StatusCode::CONFLICT, why),
        Err(_) => ending(),
    }
}

fn sentence(status: StatusCode, text: impl std::fmt::Display) -> Response {
    (status, format!("{text}\n")).into_response()
}
