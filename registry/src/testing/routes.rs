//! The test registry's API: the distribution specification's, as far as clients use it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as AxumState;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use bytes::Bytes;

use super::fault::Trouble;
use super::{Seen, State, login};
use crate::digest::sha256;

/// An answer before troubles: what would be sent.
struct Plain {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers any request.
pub(super) async fn answer(
    AxumState(state): AxumState<Arc<State>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let trouble = take_trouble(&state, method.as_str(), uri.path());
    let number = record(&state, &method, &uri, &headers);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if matches!(trouble, Some(Trouble::NoRange)) {
        headers.remove(header::RANGE);
    }
    if matches!(trouble, Some(Trouble::Silence)) {
        return std::future::pending().await;
    }
    let response = match trouble {
        Some(Trouble::Status(status, headers, body)) => status_answer(status, &headers, body),
        Some(Trouble::Redirect(target)) => status_answer(307, &[("location", target)], String::new()),
        trouble => match refused(&state, &method, &uri, &headers, &body) {
            Some(response) => response,
            None => {
                troubled(serve(&state, &method, &uri, &headers, body, trouble.as_ref()), &method, trouble)
            }
        },
    };
    state.seen.lock().unwrap()[number].status = response.status().as_u16();
    response
}

fn refused(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Response<Body>> {
    if uri.path() == "/token" {
        return Some(login::token(state, method, uri, headers, body));
    }
    login::refusal(state, method, uri, headers)
}

fn take_trouble(state: &State, method: &str, path: &str) -> Option<Trouble> {
    let mut faults = state.faults.lock().unwrap();
    let fault = faults.iter_mut().find(|fault| fault.hits(method, path))?;
    fault.times -= 1;
    Some(fault.trouble.clone())
}

fn record(state: &State, method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
    let mut seen = state.seen.lock().unwrap();
    seen.push(Seen {
        method: method.to_string(),
        path: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authorization: text(header::AUTHORIZATION),
        range: text(header::RANGE),
        status: 0,
    });
    seen.len() - 1
}

fn status_answer(status: u16, headers: &[(&'static str, String)], body: String) -> Response<Body> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(body.into()).unwrap()
}

/// What a good registry would answer.
fn serve(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
    trouble: Option<&Trouble>,
) -> Plain {
    let path = uri.path();
    if path == "/v2/" {
        return plain(200);
    }
    let Some(path) = path.strip_prefix("/v2/") else { return unknown("UNSUPPORTED") };
    if let Some((repository, name)) = path.split_once("/manifests/") {
        return match method.as_str() {
            "PUT" => put_manifest(state, repository, name, headers, &body),
            _ => get_manifest(state, repository, name),
        };
    }
    if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
        return match (method.as_str(), rest) {
            ("POST", "") => begin_upload(state, repository, uri),
            ("PUT", _) => end_upload(state, repository, uri, body),
            _ => unknown("UNSUPPORTED"),
        };
    }
    match path.split_once("/blobs/") {
        Some((repository, digest)) => get_blob(state, repository, digest, headers, trouble),
        None => unknown("UNSUPPORTED"),
    }
}

fn get_manifest(state: &State, repository: &str, name: &str) -> Plain {
    let content = state.content.lock().unwrap();
    match content.manifests.get(&(repository.to_owned(), name.to_owned())) {
        Some((media_type, bytes)) => {
            let mut answer = with(200, &header::CONTENT_TYPE, media_type);
            insert(&mut answer, "docker-content-digest", sha256(bytes).as_ref());
            answer.body = bytes.clone();
            answer
        }
        None => unknown("MANIFEST_UNKNOWN"),
    }
}

fn put_manifest(state: &State, repository: &str, name: &str, headers: &HeaderMap, body: &Bytes) -> Plain {
    let media_type = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let digest = sha256(body);
    let mut content = state.content.lock().unwrap();
    for name in [name, digest.as_ref()] {
        content
            .manifests
            .insert((repository.to_owned(), name.to_owned()), (media_type.clone(), body.clone()));
    }
    let mut answer = plain(201);
    insert(&mut answer, "docker-content-digest", digest.as_ref());
    answer
}

fn get_blob(
    state: &State,
    repository: &str,
    digest: &str,
    headers: &HeaderMap,
    trouble: Option<&Trouble>,
) -> Plain {
    let Some(blob) = state.content.lock().unwrap().blob(repository, digest) else {
        return unknown("BLOB_UNKNOWN");
    };
    let range = headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    let Some(start) =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok())
    else {
        let mut answer = plain(200);
        answer.body = blob;
        return answer;
    };
    let start = match trouble {
        Some(Trouble::WrongRange(by)) => start + usize::try_from(*by).unwrap(),
        _ => start,
    };
    let mut answer = plain(206);
    insert(&mut answer, "content-range", &format!("bytes {start}-{}/{}", blob.len() - 1, blob.len()));
    answer.body = blob.slice(start..);
    answer
}

/// Mounts, or gives a relative Location with a query, which clients must keep.
fn begin_upload(state: &State, repository: &str, uri: &Uri) -> Plain {
    let mut content = state.content.lock().unwrap();
    if let (Some(digest), Some(from)) = (query(uri, "mount"), query(uri, "from"))
        && let Some(blob) = content.blob(&from, &digest)
    {
        content.put_blob(repository, &digest, blob);
        return plain(201);
    }
    content.uploads += 1;
    let location = format!("/v2/{repository}/blobs/uploads/{}?_state=kept", content.uploads);
    with(202, &header::LOCATION, &location)
}

fn end_upload(state: &State, repository: &str, uri: &Uri, body: Bytes) -> Plain {
    if query(uri, "_state").as_deref() != Some("kept") {
        return error(400, "BLOB_UPLOAD_INVALID");
    }
    let digest = query(uri, "digest").unwrap_or_default();
    if sha256(&body).as_ref() != digest {
        return error(400, "DIGEST_INVALID");
    }
    state.content.lock().unwrap().put_blob(repository, &digest, body);
    let mut answer = plain(201);
    insert(&mut answer, "docker-content-digest", &digest);
    answer
}

/// Turns an answer into the one that was ordered.
fn troubled(mut answer: Plain, method: &Method, trouble: Option<Trouble>) -> Response<Body> {
    let is_head = method == Method::HEAD;
    let (mut length, mut cut, mut stalled) = (Some(answer.body.len() as u64), false, false);
    match trouble {
        Some(Trouble::Cut(after)) => {
            answer.body.truncate(after);
            cut = true;
        }
        Some(Trouble::Stall(after)) => {
            answer.body.truncate(after);
            stalled = true;
        }
        Some(Trouble::Truncate(after)) => {
            answer.body.truncate(after);
            length = None;
        }
        Some(Trouble::Length(lie)) => length = Some(lie),
        Some(Trouble::Bytes(bytes)) => {
            length = Some(bytes.len() as u64);
            answer.body = bytes;
        }
        Some(Trouble::Header(name, Some(value))) => insert(&mut answer, name, &value),
        Some(Trouble::Header(name, None)) => drop(answer.headers.remove(name)),
        _ => {}
    }
    if let Some(length) = length {
        insert(&mut answer, "content-length", &length.to_string());
    }
    let body = if is_head { Body::empty() } else { streamed(&answer.body, cut, stalled) };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap();
    *response.headers_mut() = answer.headers;
    response
}

/// A body without a known length, so that the server believes the header; then an end, a break, or nothing.
fn streamed(bytes: &Bytes, cut: bool, stalled: bool) -> Body {
    use futures_util::stream::{self, StreamExt as _};
    let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(bytes.slice_ref(piece))).collect();
    let pieces = stream::iter(pieces);
    if stalled {
        return Body::from_stream(pieces.chain(stream::pending::<Result<Bytes, std::io::Error>>()));
    }
    // The pause lets what came before reach the client; an error at once would drop even the headers.
    let pause = stream::once(tokio::task::yield_now()).filter_map(|()| std::future::ready(None));
    let end = cut.then(|| Err(std::io::Error::other("cut")));
    Body::from_stream(pieces.chain(pause).chain(stream::iter(end)))
}

fn plain(status: u16) -> Plain {
    Plain { status, headers: HeaderMap::new(), body: Bytes::new() }
}

fn with(status: u16, name: &HeaderName, value: &str) -> Plain {
    let mut answer = plain(status);
    insert(&mut answer, name.as_str(), value);
    answer
}

fn insert(answer: &mut Plain, name: &str, value: &str) {
    answer.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
}

fn unknown(code: &str) -> Plain {
    error(404, code)
}

fn error(status: u16, code: &str) -> Plain {
    let mut answer = plain(status);
    answer.body = format!(r#"{{"errors":[{{"code":"{code}","message":"{}"}}]}}"#, code.to_lowercase()).into();
    answer
}

fn query(uri: &Uri, name: &str) -> Option<String> {
    let pairs = reqwest::Url::parse(&format!("form:?{}", uri.query()?)).unwrap();
    pairs.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
