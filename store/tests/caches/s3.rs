//! A bucket of a service that checks every signature.

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use osbuild_store::cache::{Access, BinaryCache, S3Keys, Substituters};
use osbuild_store::signature::TrustedKeys;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use crate::fixture::Fixture;

/// Serves buckets, which are directories below `root`, until the test ends;
/// its port.
fn serve(root: &Path) -> u16 {
    let files = s3s_fs::FileSystem::new(root).unwrap();
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single("someone", "a secret of theirs"));
    let service = builder.build().into_shared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    port
}

fn access(secret: &str) -> Access {
    let keys =
        S3Keys { access_key: "someone".to_owned(), secret_key: secret.to_owned(), session_token: None };
    Access { s3: Some(keys), ..Access::default() }
}

#[test]
fn a_bucket_is_published_to_and_read() {
    let fixture = Fixture::new();
    let program = fixture.program();
    let buckets = fixture.path().join("buckets");
    std::fs::create_dir_all(buckets.join("ours")).unwrap();
    let port = serve(&buckets);
    for address in ["s3://ours", "s3://ours/deep/below"] {
        let address = format!("{address}?endpoint=http://127.0.0.1:{port}&region=somewhere-1");
        let at = |secret: &str| BinaryCache::at(&address, &access(secret)).unwrap();
        let keys = fixture.signed();
        let refused = fixture.publish_to(&at("another secret"), &[&program], &keys);
        assert!(refused.is_err(), "{refused:?}");
        let published = fixture.publish_to(&at("a secret of theirs"), &[&program], &keys).unwrap();
        assert_eq!(published.sent.len(), 2);
        let again = fixture.publish_to(&at("a secret of theirs"), &[&program], &keys).unwrap();
        assert_eq!(again.present.len(), 2);

        let to = Fixture::new();
        let trusted = TrustedKeys::from_iter([fixture.key.public()]);
        let memory = to.path().join("memory");
        let substituters =
            Substituters::new(vec![at("a secret of theirs")], trusted, to.to.store_dir().clone(), &memory);
        assert_eq!(to.fetch(&substituters, &program).unwrap().len(), 2);
        to.check();
    }
    assert!(buckets.join("ours/nix-cache-info").exists() && buckets.join("ours/deep/below/nar").exists());
}
