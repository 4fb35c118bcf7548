//! What a graph is made from that only clients have: directories, and images of layouts.

use std::collections::BTreeMap;

use tempfile::TempDir;
use tonic::{Code, Status};

use super::solve::Work;
use super::{Definition, Layouts, Local, platform as llb_platform};
use crate::contexts::Synced;
use crate::failure::told;
use crate::session::Session;
use crate::session::content::{ContentStore, digest};
use crate::session::receive::{self, Wanted};

impl Work<'_> {
    /// Copies what clients have in layouts.
    pub(super) async fn layouts(
        &self,
        definition: &Definition,
        copies: &mut Vec<TempDir>,
    ) -> Result<Layouts, Status> {
        let mut layouts = Layouts::new();
        for (layout, platform) in definition.layouts() {
            if layouts.contains_key(&layout) {
                continue;
            }
            let step = self.progress.step(format!("[internal] load oci-layout://{}", layout.store));
            let session = self.session(layout.session.as_deref()).await?;
            let store = ContentStore::new(&session, format!("oci:{}", layout.store));
            let copy = self.server.contexts.temporary().map_err(|error| told(Code::Internal, &error))?;
            let wanted = platform.map_or_else(|| self.server.platform.clone(), llb_platform);
            let takes = |entry: &kiln_registry::Descriptor| {
                entry.platform().as_ref().is_none_or(|platform| {
                    wanted.starts_with(&format!("{}/{}", platform.os(), platform.architecture()))
                })
            };
            let copied = store.layout(&digest(&layout.digest)?, copy.path(), takes).await;
            match &copied {
                Ok(()) => step.done(),
                Err(status) => step.failed(status.message()),
            }
            copied?;
            let path = copy.path().to_str().map(str::to_owned);
            layouts.insert(layout, path.ok_or_else(|| Status::internal("the store's path is not UTF-8"))?);
            copies.push(copy);
        }
        Ok(layouts)
    }

    /// The build's own session, or the one of that id.
    async fn session(&self, id: Option<&str>) -> Result<Session, Status> {
        match id {
            Some(id) if id != self.build.session => self.server.sessions.get(id).await,
            _ => Ok(self.session.clone()),
        }
    }

    pub(super) async fn contexts(
        &self,
        locals: &BTreeMap<String, Local>,
    ) -> Result<BTreeMap<String, Synced>, Status> {
        let mut synced = BTreeMap::new();
        for (name, local) in locals {
            let step = self.progress.step(format!("[internal] load local://{}", local.name));
            match self.context(local).await {
                Ok((context, received)) => {
                    step.progress("transferring", received.bytes, Some(received.bytes));
                    step.done();
                    synced.insert(name.clone(), context);
                }
                Err(status) => {
                    step.failed(status.message());
                    return Err(status);
                }
            }
        }
        Ok(synced)
    }

    async fn context(&self, local: &Local) -> Result<(Synced, receive::Received), Status> {
        let session = self.session(local.session.as_deref()).await?;
        let synced = self.server.contexts.open(&session.shared_key, &local.place).await;
        let synced = synced.map_err(|error| told(Code::Internal, &error))?;
        let wanted = Wanted {
            name: local.name.clone(),
            include: local.include.clone(),
            exclude: local.exclude.clone(),
            follow: local.follow.clone(),
            ..Wanted::default()
        };
        let received = receive::directory(&session, &wanted, &synced).await;
        Ok((synced, received.map_err(|error| told(Code::FailedPrecondition, &error))?))
    }
}
