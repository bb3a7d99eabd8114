package testbed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
)

// StartCertManager installs cert-manager's kinds in the cluster and starts its real controllers, for CA and
// self-signed issuers. It returns when the kinds are served; the controllers then act as soon as they have seen what
// is there. There is no cert-manager webhook. It may be called again after StopCertManager.
func (c *Cluster) StartCertManager(ctx context.Context) error {
	crds, err := readCRDs(os.DirFS(c.bed.Bin), "cert-manager-crds")
	if err != nil {
		return err
	}
	if err := InstallKinds(ctx, c.Config, crds); err != nil {
		return err
	}
	kubeconfig := filepath.Join(c.dir, "cert-manager.kubeconfig")
	cfg := c.UserConfig("cert-manager", "system:masters")
	if err := WriteKubeconfig(kubeconfig, c.Name, map[string]*rest.Config{c.Name: cfg}); err != nil {
		return err
	}
	p, err := c.bed.servers.start(c.id+"/cert-manager", filepath.Join(c.dir, "cert-manager.log"), []string{"GOGC=50"},
		filepath.Join(c.bed.Bin, "cert-manager"), kubeconfig)
	if err != nil {
		return fmt.Errorf("starting cert-manager in %s: %w", c.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.certManager = p
	return nil
}

// StopCertManager ends cert-manager's controllers (SIGKILL) and returns when they are gone; what they made stays.
// Without running ones it does nothing.
func (c *Cluster) StopCertManager() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.certManager != nil {
		c.certManager.end()
	}
	c.certManager = nil
}
