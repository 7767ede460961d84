package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// patience is how long a part may take to become ready on a loaded machine.
const patience = 3 * time.Minute

// controlPlane runs etcd in this process and the two Kubernetes processes beside it, and says on stdout where the
// kubeconfig is once requests are answered. It returns when told to end: by a signal, or by stdin being closed.
func controlPlane(args []string) (err error) {
	flags := flag.NewFlagSet("control-plane", flag.ContinueOnError)
	dir := flags.String("dir", "", "where everything is kept; made when missing")
	port := flags.Int("port", 0, "the API's port on 127.0.0.1; 0 takes a free one")
	etcdPort := flags.Int("etcd-port", 0, "etcd's port on 127.0.0.1; 0 takes a free one")
	token := flags.String("token", "admin-token", "the administrator's bearer token")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("--dir is missing; name a directory for its data")
	}
	home, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}

	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ended, cancel := context.WithCancelCause(ended)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel(nil)
	}()

	etcd, etcdURL, err := startEtcd(home, *etcdPort)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()

	if *port, err = freePort(*port); err != nil {
		return err
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", *port)
	arguments, err := apiserverArguments(home, *port, etcdURL, *token)
	if err != nil {
		return err
	}
	api, err := start(home, "apiserver", arguments, cancel)
	if err != nil {
		return err
	}
	defer api.end()
	certificates := filepath.Join(home, "certs", "apiserver.crt")
	if err := waitReady(ended, server, certificates, *token); err != nil {
		return fmt.Errorf("%w; its log is %s", err, filepath.Join(home, "apiserver.log"))
	}

	kubeconfig := filepath.Join(home, "kubeconfig")
	if err := writeKubeconfig(kubeconfig, server, certificates, *token); err != nil {
		return err
	}
	manager, err := start(home, "controller-manager", []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=garbage-collector-controller,namespace-controller",
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}, cancel)
	if err != nil {
		return err
	}
	defer manager.end()

	fmt.Println("kubeconfig", kubeconfig)
	<-ended.Done()
	if cause := context.Cause(ended); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func startEtcd(home string, port int) (*embed.Etcd, string, error) {
	client, err := loopback(port)
	if err != nil {
		return nil, "", err
	}
	peer, err := loopback(0)
	if err != nil {
		return nil, "", err
	}
	config := embed.NewConfig()
	config.Dir = filepath.Join(home, "etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{filepath.Join(home, "etcd.log")}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, client.String(), nil
	case err := <-etcd.Err():
		etcd.Close()
		return nil, "", err
	case <-time.After(patience):
		etcd.Close()
		return nil, "", fmt.Errorf("not ready within %s", patience)
	}
}

func apiserverArguments(home string, port int, etcdURL, token string) ([]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	keyFile, tokens := filepath.Join(home, "service-account.key"), filepath.Join(home, "tokens.csv")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(keyFile, encoded, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(tokens, []byte(token+",admin,1,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--etcd-servers=" + etcdURL,
		"--cert-dir=" + filepath.Join(home, "certs"),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged",
		"--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount",
		"--service-account-issuer=https://127.0.0.1",
		"--service-account-key-file=" + keyFile,
		"--service-account-signing-key-file=" + keyFile,
		"--token-auth-file=" + tokens,
	}, nil
}

// child is this program again, as another part. It ends when this process does, because it watches its stdin.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	done    chan struct{}
}

func start(home, part string, arguments []string, failed context.CancelCauseFunc) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(home, part+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(self, append([]string{part}, arguments...)...)
	command.Stdout, command.Stderr = log, log
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	running := &child{command: command, stdin: stdin, done: make(chan struct{})}
	go func() {
		err := command.Wait()
		close(running.done)
		failed(fmt.Errorf("the %s ended by itself (%v); its log is %s", part, err, log.Name()))
	}()
	return running, nil
}

func (c *child) end() {
	_ = c.stdin.Close()
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
		_ = c.command.Process.Kill()
		<-c.done
	}
}

func waitReady(ended context.Context, server, certificates, token string) error {
	deadline := time.Now().Add(patience)
	last := errors.New("not asked yet")
	for time.Now().Before(deadline) {
		if last = askReady(ended, server, certificates, token); last == nil {
			return nil
		}
		select {
		case <-ended.Done():
			return context.Cause(ended)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("the API server was not ready within %s: %w", patience, last)
}

func askReady(ended context.Context, server, certificates, token string) error {
	trusted, err := os.ReadFile(certificates)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trusted)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ended, http.MethodGet, server+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, body)
	}
	return nil
}

func writeKubeconfig(path, server, certificates, token string) error {
	trusted, err := os.ReadFile(certificates)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: kube, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: admin, user: {token: %q}}]
contexts: [{name: kube, context: {cluster: kube, user: admin}}]
current-context: kube
`, server, base64.StdEncoding.EncodeToString(trusted), token)
	return os.WriteFile(path, []byte(text), 0o600)
}

func loopback(port int) (url.URL, error) {
	port, err := freePort(port)
	return url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}, err
}

// freePort is the given port, or one that nobody uses now.
func freePort(port int) (int, error) {
	if port != 0 {
		return port, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
