package testbed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// startEtcd starts the one etcd of the bed. It never syncs to disk: its data does not outlive the bed.
func (b *Bed) startEtcd(ctx context.Context) (err error) {
	b.etcd, err = onFreePort(b.etcdIP(), []int{2379, 12379, 22379, 32379}, func(port int) (*program, error) {
		b.etcdPort = port
		peer := fmt.Sprintf("http://%s:%d", b.etcdIP(), port+1)
		p, err := b.servers.start("etcd", b.etcdLog(), nil,
			filepath.Join(b.Bin, "etcd"),
			"--data-dir="+b.etcdData(),
			"--listen-client-urls="+b.etcdURL(),
			"--advertise-client-urls="+b.etcdURL(),
			"--listen-peer-urls="+peer,
			"--initial-advertise-peer-urls="+peer,
			"--initial-cluster=default="+peer,
			"--unsafe-no-fsync",
			"--log-level=warn",
			"--quota-backend-bytes=4294967296",
		)
		if err != nil {
			return nil, err
		}
		return p, p.await(ctx, b.etcdHealthy)
	})
	return err
}

// FreezeEtcd stops the bed's etcd without closing anything (SIGSTOP), as a disk that hangs does; it returns when
// every thread stands still.
func (b *Bed) FreezeEtcd() {
	if b.etcd.signal(syscall.SIGSTOP) == nil {
		b.etcd.awaitStopped()
	}
}

// ThawEtcd lets a frozen etcd go on (SIGCONT).
func (b *Bed) ThawEtcd() { b.etcd.signal(syscall.SIGCONT) }

func (b *Bed) etcdData() string { return filepath.Join(b.Dir, "etcd") }
func (b *Bed) etcdLog() string  { return filepath.Join(b.Dir, "etcd.log") }

// etcdIP is an address in the first cluster's block.
func (b *Bed) etcdIP() string { return b.blocks[0].reservedIP(1) }

func (b *Bed) etcdURL() string { return fmt.Sprintf("http://%s:%d", b.etcdIP(), b.etcdPort) }

// etcdHealthy returns nil once etcd has elected itself and answers.
func (b *Bed) etcdHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.etcdURL()+"/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s", res.Status)
	}
	return nil
}
