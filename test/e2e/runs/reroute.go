package runs

import (
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
)

// Server is where a context of a rerouted kubeconfig leads; CA is nil when it is the cluster's own.
type Server struct {
	URL string
	CA  []byte
}

// Reroute writes a copy of a kubeconfig in which contexts lead to other servers, and returns its path.
func (r *Recorder) Reroute(kubeconfig string, to map[string]Server) string {
	r.Helper()
	k, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		r.Fatal(err)
	}
	for context, s := range to {
		k.Clusters[context].Server = s.URL
		if s.CA != nil {
			k.Clusters[context].CertificateAuthorityData = s.CA
		}
	}
	path := filepath.Join(r.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		r.Fatal(err)
	}
	return path
}
