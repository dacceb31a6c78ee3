// etcd as one process: the server that the Kubernetes tree carries as a
// library, with the flags that a cluster for tests needs.
package main

import (
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/embed"
)

func main() {
	config := embed.NewConfig()
	flag.StringVar(&config.Dir, "data-dir", "etcd", "directory of the data")
	clients := flag.String("listen-client-url", "http://127.0.0.1:2379", "where clients connect")
	peers := flag.String("listen-peer-url", "http://127.0.0.1:2380", "where other members would connect")
	flag.StringVar(&config.ClientTLSInfo.CertFile, "cert-file", "", "certificate for clients")
	flag.StringVar(&config.ClientTLSInfo.KeyFile, "key-file", "", "its key")
	flag.StringVar(&config.ClientTLSInfo.TrustedCAFile, "trusted-ca-file", "", "who signs clients' certificates")
	flag.BoolVar(&config.ClientTLSInfo.ClientCertAuth, "client-cert-auth", false, "whether clients need one")
	flag.BoolVar(&config.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk: for tests")
	flag.Parse()

	client, peer := parse(*clients), parse(*peers)
	config.LCUrls, config.ACUrls = []url.URL{client}, []url.URL{client}
	config.LPUrls, config.APUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.Logger = "zap"
	config.LogOutputs = []string{"stderr"}

	server, err := embed.StartEtcd(config)
	if err != nil {
		log.Fatalf("etcd: %v", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
		log.Print("etcd: ready")
	case <-time.After(time.Minute):
		log.Fatal("etcd: not ready within a minute")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err := <-server.Err():
		log.Fatalf("etcd: %v", err)
	case <-signals:
	}
}

func parse(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		log.Fatalf("etcd: %v", err)
	}
	return *parsed
}
