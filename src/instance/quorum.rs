//! Quorum reads: reads that no cache answers.

use std::sync::Arc;

use cortecs_clock as clock;
use cortecs_resources::{CortecsInstance, decode::Decoded, key::ObjectKey};
use cortecs_rules::ledger::readable::{kept, mark};
use kube::{Api, ResourceExt, api::ListParams};

use super::context::Context;
use crate::{
    instance::removed,
    kubernetes::{
        client::{KubeError, bounded},
        scope,
    },
};
/// How many resources one page of a quorum read has.
const PAGE: u32 = 500;

/// Reads one resource by quorum.
///
/// # Errors
/// `NotFound` if the resource is gone.
pub async fn read(
    context: &Context,
    key: &ObjectKey,
) -> Result<Decoded<CortecsInstance>, KubeError> {
    let known = context
        .book
        .lock()
        .get(key)
        .map(|e| Arc::clone(&e.resource));
    let scope = Some(key.namespace.clone());
    let api: Api<Decoded<CortecsInstance>> = scope::api(&context.client, &scope);
    let decoded = bounded("read the resource", async { api.get(&key.name).await }).await?;
    compare_one(context, known.as_deref(), &decoded.object);
    Ok(decoded)
}

/// Reads all resources by quorum into the book. Concurrent calls share a read that began after they were made.
///
/// # Errors
/// The first error of a call to Kubernetes.
pub async fn read_all(context: &Context) -> Result<(), KubeError> {
    let called_at = clock::moment();
    let _one_at_a_time = context.quorum.lock().await;
    if context
        .book
        .lock()
        .quorum_read_at()
        .is_some_and(|read| read >= called_at)
    {
        return Ok(());
    }
    let began = clock::moment();
    context.book.lock().begin_quorum_read();
    let result = read_scopes(context).await;
    let mut book = context.book.lock();
    match &result {
        Ok(()) => book.read_by_quorum(began),
        Err(_) => book.abandon_quorum_read(),
    }
    result
}

async fn read_scopes(context: &Context) -> Result<(), KubeError> {
    for scope in context.watches.scopes() {
        let api: Api<Decoded<CortecsInstance>> = scope::api(&context.client, scope);
        let (newest, known) = {
            let book = context.book.lock();
            (book.newest().to_owned(), book.resources())
        };
        let mut read: Vec<Decoded<CortecsInstance>> = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        let version = loop {
            let page = bounded("read all resources", async { api.list(&params).await }).await?;
            read.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break page.metadata.resource_version.unwrap_or_default(),
            }
        };
        let history = &context.history;
        history.compare("the list of instances", &newest, &version);
        for decoded in &read {
            let before = known.get(&ObjectKey::of(decoded));
            compare_one(context, before.map(|known| &**known), &decoded.object);
        }
        let mut book = context.book.lock();
        let resources = read.iter().map(|decoded| kept(&book, decoded)).collect();
        let removed = book.quorum_read(scope, resources, &version);
        read.iter().for_each(|decoded| mark(&mut book, decoded));
        drop(book);
        removed::handle(context, &removed);
    }
    Ok(())
}

/// Compares the version of a resource that was read by quorum with the version that was known before.
pub fn compare_one(context: &Context, known: Option<&CortecsInstance>, read: &CortecsInstance) {
    let Some(known) = known.filter(|known| known.uid() == read.uid()) else {
        return;
    };
    let versions = (known.resource_version(), read.resource_version());
    if let (Some(known), Some(now)) = versions {
        let what = ObjectKey::of(read).to_string();
        context.history.compare(&what, &known, &now);
    }
}
