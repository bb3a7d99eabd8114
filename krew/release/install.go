package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// installs are the manifests of a release: what each overlay renders to, as it was reviewed. A test of the package
// manifests holds those files to what kustomize renders, so nothing has to be rendered here.
var installs = []struct{ name, overlay, says string }{
	{"install.yaml", "self-signed", "makes and rotates its certificate itself"},
	{"install-cert-manager.yaml", "cert-manager",
		"has its certificate from the cluster's cert-manager, which must be installed"},
}

// defaultRegistry is where the images of this project are.
const defaultRegistry = "ghcr.io/xcpauth"

// webhookImage is the image that the manifests name in a checkout.
const webhookImage = defaultRegistry + "/xcpauth-webhook:devel"

// deployments are how many run that image: the webhook and its auditor.
const deployments = 2

// install returns a release's manifest: the reviewed one with the image by its digest, so that nobody can change what
// runs by moving a tag. reference is the image's name with its tag and digest.
func install(root string, b build, overlay, says, reference string) ([]byte, error) {
	reviewed, err := os.ReadFile(filepath.Join(root, "manifests", "rendered", overlay+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of overlay %s: %w", overlay, err)
	}
	if n := bytes.Count(reviewed, []byte("image: "+webhookImage+"\n")); n != deployments {
		return nil, fmt.Errorf("the manifest of overlay %s names the image %s %d times, want %d", overlay, webhookImage, n,
			deployments)
	}
	head := fmt.Sprintf("# The admission webhook of kubectl-xcpauth %s, its roster and its RBAC, for the hub's cluster.\n# It %s. Apply with: kubectl apply -f\n", b.Version, says)
	named := bytes.Replace(reviewed, []byte("image: "+webhookImage+"\n"), []byte("image: "+reference+"\n"), deployments)
	return append([]byte(head), named...), nil
}
