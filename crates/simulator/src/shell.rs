//! The HTTP side of the API: turns requests into calls, applies faults, and turns results into answers.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State as Extract},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    api::{Answer, Call},
    connection::Scissors,
    cut,
    endpoint::Endpoint,
    fault::{Effect, When},
    held,
    journal::RequestRecord,
    rewrite,
    shared::Shared,
    success::{FaultBody, Success},
};

/// The base path of the API.
pub(super) const BASE: &str = "/api/v1";
const MAX_BODY: usize = 64 * 1024;
const MAX_PATH: usize = 256;

/// The end of a request.
enum Ending {
    Respond(Response),
    Cut { reset: bool },
}

struct Incoming {
    method: String,
    path: String,
    call: Call,
}

/// Answers a request to the API.
pub(super) async fn answer(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
) -> Response {
    let incoming = match read(request).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    // Runs as its own task, so that a client that gives up does not cancel a late effect.
    let ending = tokio::spawn(async move { handle(&shared, incoming).await }).await;
    match ending {
        Ok(Ending::Respond(response)) => response,
        Ok(Ending::Cut { reset }) => {
            scissors.cut(reset);
            Response::new(Body::empty())
        }
        Err(_) => json_response(&Answer::message(500, "Internal error")),
    }
}

async fn read(request: Request) -> Result<Incoming, Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| json_response(&Answer::message(413, "The request body is too large")))?;
    let whole = parts.uri.path();
    let below = whole.strip_prefix(BASE);
    let path = below.unwrap_or(whole);
    let (endpoint, id) = below.map_or((Endpoint::Unknown, None), |path| {
        Endpoint::of(parts.method.as_str(), path)
    });
    let force = endpoint == Endpoint::DeleteAll && is_forced(parts.uri.query().unwrap_or_default());
    let call = Call {
        endpoint,
        id: id.map(str::to_owned),
        bearer: bearer(&parts.headers),
        force,
        body: serde_json::from_slice(&body).ok(),
    };
    let mut path: String = path.chars().take(MAX_PATH / 4).collect();
    if force {
        path.push_str("?force_deletion=true");
    }
    Ok(Incoming {
        method: parts.method.to_string(),
        path,
        call,
    })
}

/// `cortecs-py` writes `True`.
fn is_forced(query: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.any(|(key, value)| key == "force_deletion" && value.eq_ignore_ascii_case("true"))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

async fn handle(shared: &Arc<Shared>, incoming: Incoming) -> Ending {
    let endpoint = incoming.call.endpoint;
    let (method, path) = (incoming.method.clone(), incoming.path.clone());
    let Opened {
        sequence,
        down,
        effect,
        releases,
    } = open(shared, &incoming);
    let ending = if down {
        let answer = Answer::message(503, "Service temporarily unavailable");
        Ending::Respond(json_response(&answer))
    } else {
        strike(shared, incoming.call, effect, releases).await
    };
    let status = match &ending {
        Ending::Respond(response) => Some(response.status().as_u16()),
        Ending::Cut { .. } => None,
    };
    shared.change(|state, _| state.journal.close(sequence, status));
    tracing::debug!(sequence, ?endpoint, %method, %path, ?status, "request");
    ending
}

/// A request after it was recorded.
struct Opened {
    sequence: u64,
    down: bool,
    effect: Option<Effect>,
    /// The number of times that delays had been released.
    releases: u64,
}

/// Records the request and draws its fault.
fn open(shared: &Shared, incoming: &Incoming) -> Opened {
    let call = &incoming.call;
    shared.change(|state, now| {
        let account = call.account(&state.world, now);
        let bearer = call.bearer.as_deref();
        let token = bearer.and_then(|word| state.world.access.number(word, now));
        let drawn = if state.down {
            None
        } else {
            state.faults.draw(call.endpoint, call.model(&state.world))
        };
        let (id, effect) = drawn.unzip();
        let fault = match (&id, &effect) {
            (Some(id), Some(effect)) => Some(format!("{id} {effect}")),
            _ => state.down.then(|| "down".to_owned()),
        };
        let logged = matches!(
            call.endpoint,
            Endpoint::Start | Endpoint::Restart | Endpoint::Stop
        );
        let sequence = state.journal.open(RequestRecord {
            sequence: 0,
            method: incoming.method.clone(),
            path: incoming.path.clone(),
            endpoint: call.endpoint,
            account,
            token,
            status: None,
            fault,
            body: call.body.clone().filter(|_| logged),
            at: held::wall(shared.epoch, now),
        });
        Opened {
            sequence,
            down: state.down,
            effect,
            releases: shared.releases(),
        }
    })
}

async fn strike(shared: &Arc<Shared>, call: Call, effect: Option<Effect>, releases: u64) -> Ending {
    let Some(effect) = effect else {
        return Ending::Respond(json_response(&perform(shared, &call)));
    };
    match &effect {
        Effect::Answer {
            when: When::Before, ..
        } => return Ending::Respond(faulty(&effect)),
        Effect::Drop {
            when: When::Before,
            reset,
        } => return Ending::Cut { reset: *reset },
        Effect::Delay {
            when: When::Before,
            duration,
        } => {
            shared.delay(*duration, releases).await;
            return Ending::Respond(json_response(&perform(shared, &call)));
        }
        Effect::Success(success) if !success.late.is_zero() && is_let_in(shared, &call) => {
            let (late, shared) = (success.late, Arc::clone(shared));
            let response = succeeded(success, None);
            tokio::spawn(async move {
                shared.delay(late, releases).await;
                perform(&shared, &call);
            });
            return Ending::Respond(response);
        }
        Effect::ExpireToken => {
            if let Some(bearer) = &call.bearer {
                shared.change(|state, _| state.world.access.revoke(bearer));
            }
        }
        _ => {}
    }
    let answer = perform(shared, &call);
    Ending::Respond(match effect {
        Effect::Answer { .. } => faulty(&effect),
        Effect::Drop { reset, .. } => return Ending::Cut { reset },
        Effect::Delay { duration, .. } => {
            shared.delay(duration, releases).await;
            json_response(&answer)
        }
        Effect::MalformedBody => raw(
            answer.status,
            "application/json",
            r#"{"instance": {"instance_id"#,
        ),
        Effect::TruncatedBody => truncated(&answer),
        Effect::CutList => json_response(&cut::cut(answer)),
        Effect::WithoutInstance => json_response(&without_instance(answer)),
        Effect::HugeBody { bytes } => huge(answer.status, bytes),
        Effect::ExpireToken => json_response(&answer),
        // A refusal stays one.
        Effect::Success(success) if (200..300).contains(&answer.status) => {
            succeeded(&success, Some(&answer))
        }
        Effect::Success(_) => json_response(&answer),
    })
}

fn is_let_in(shared: &Shared, call: &Call) -> bool {
    let is_known = || shared.change(|state, now| call.account(&state.world, now).is_some());
    !call.endpoint.needs_token() || is_known()
}

fn perform(shared: &Shared, call: &Call) -> Answer {
    shared.change(|state, now| {
        let mut answer = call.perform(&mut state.world, now);
        rewrite::rewrite(&mut answer.body, &state.world.rewrites);
        answer
    })
}

fn faulty(effect: &Effect) -> Response {
    let Effect::Answer {
        status,
        body,
        retry_after,
        location,
        ..
    } = effect
    else {
        return raw(500, "text/plain", "");
    };
    let mut response = with_body(*status, body);
    let mut set = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    set(
        header::RETRY_AFTER,
        retry_after.map(|seconds| seconds.to_string()),
    );
    set(header::LOCATION, location.clone());
    response
}

/// The answer of a call that was or will be carried out. `answer` is the true one, if it is there yet.
fn succeeded(success: &Success, answer: Option<&Answer>) -> Response {
    match (&success.body, answer) {
        (Some(body), _) => with_body(success.status, body),
        (None, Some(answer)) => json_response(&Answer::new(success.status, answer.body.clone())),
        (None, None) => with_body(success.status, &FaultBody::Empty),
    }
}

fn with_body(status: u16, body: &FaultBody) -> Response {
    match body {
        FaultBody::Empty => raw(status, "text/plain", ""),
        FaultBody::Message(message) => json_response(&Answer::message(status, message)),
        FaultBody::Html(page) => raw(status, "text/html; charset=utf-8", page),
        FaultBody::Raw(text) => raw(status, "application/json", text),
    }
}

fn without_instance(answer: Answer) -> Answer {
    let message = answer.body.get("message").cloned();
    Answer::new(
        answer.status,
        json!({ "message": message.unwrap_or(Value::Null) }),
    )
}

/// Half of the body that the headers announce.
fn truncated(answer: &Answer) -> Response {
    let whole = answer.body.to_string().into_bytes();
    let length = whole.len();
    let half = Bytes::from(whole).slice(..length / 2);
    let end = stream::once(async {
        // While the stream is pending, the server sends the first half. Then the connection fails.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
    });
    let body = Body::from_stream(stream::iter([Ok(half)]).chain(end));
    let mut response = respond(answer.status, "application/json", body);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A JSON string of this length, made while it is sent.
fn huge(status: u16, bytes: u64) -> Response {
    const CHUNK: u64 = 64 * 1024;
    let filler = Bytes::from(vec![b'x'; 64 * 1024]);
    let inner = bytes.saturating_sub(2);
    let rest = filler.slice(..usize::try_from(inner % CHUNK).unwrap_or_default());
    let numbers = stream::iter(0..inner / CHUNK);
    let chunks = numbers.map(move |_| filler.clone());
    let quote = || stream::iter([Bytes::from_static(b"\"")]);
    let all = quote()
        .chain(chunks)
        .chain(stream::iter([rest]))
        .chain(quote());
    respond(
        status,
        "application/json",
        Body::from_stream(all.map(Ok::<_, std::io::Error>)),
    )
}

pub(super) fn json_response(answer: &Answer) -> Response {
    raw(answer.status, "application/json", &answer.body.to_string())
}

fn raw(status: u16, content_type: &'static str, body: &str) -> Response {
    respond(status, content_type, Body::from(body.to_owned()))
}

fn respond(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
