//! Updates the nodes of a Kubernetes cluster: a few at a time, each only once
//! its pods have gone elsewhere, and none while one has not come back.
//!
//! What it knows is in the cluster, in objects that anybody can read
//! ([`resources`]); what follows from them is a pure function ([`law`]), asked
//! again and again. A program that is killed anywhere goes on from there.
//!
//! It never decides which release a node may install, nor installs anything:
//! that is the node's own API, which believes its repository and nobody else.

pub mod resources;

pub mod law;

pub mod drain;

pub mod controller;

pub mod node;

pub mod manifests;
