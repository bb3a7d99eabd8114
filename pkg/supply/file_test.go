package supply

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const handed = "apiVersion: v1\nkind: Secret\nmetadata: {name: xcp-edge-central-auth-token, namespace: istio-system}\nstringData: {jwt: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.eA}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: es-certs}\n"

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func TestManifestsAreReadFromAFileOrADirectory(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "edge-1.yaml", handed, 0o600)
	write(t, dir, "README", "not one", 0o644)
	if err := os.Mkdir(filepath.Join(dir, "old.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, dir} {
		m, err := ReadManifests(path)
		if err != nil {
			t.Fatal(err)
		}
		secrets, said, err := m.Secrets(t.Context(), wanting(account, token))
		if err != nil || !slices.Equal(secretNames(secrets), []string{token}) ||
			strings.Join(said, "") != "left alone of the manifest "+path+": Secret es-certs" {
			t.Errorf("%s: took %v, said %q, %v", path, secretNames(secrets), said, err)
		}
		s := wanting(account, token)
		s.Member, s.ClusterName = "edge-2", "edge-2"
		_, _, err = m.Secrets(t.Context(), s)
		if forAll := path == file; forAll != (err == nil) || !forAll && !strings.Contains(err.Error(),
			"no manifest was provided for it") || !forAll && !strings.Contains(err.Error(),
			"put one called edge-2.yaml into the directory of --secrets") {
			t.Errorf("%s, for another edge: %v", path, err)
		}
	}
}

func TestFilesWithSecretsAreRefusedWhereOthersReadThem(t *testing.T) {
	dir, twice, empty := t.TempDir(), t.TempDir(), t.TempDir()
	group := write(t, dir, "edge-1.yaml", handed, 0o640)
	write(t, dir, "edge-2.yml", handed, 0o604)
	write(t, twice, "edge-1.yaml", handed, 0o600)
	write(t, twice, "edge-1.yml", handed, 0o600)
	long := write(t, empty, "long.txt", strings.Repeat("#", maxFile+1), 0o600)
	for _, tc := range []struct {
		name, path string
		says       []string
	}{
		{"a file that the group reads", group, []string{`(mode 0640), and it holds secrets; run: chmod 600 "` + group + `"`}},
		{"every such file of a directory", dir, []string{"edge-1.yaml may be read", "edge-2.yml may be read"}},
		{"two for one edge", twice, []string{"both edge-1.yaml and edge-1.yml"}},
		{"a directory without any", empty, []string{"is named EDGE.yaml or EDGE.yml after an edge"}},
		{"a file that is no manifest", long, []string{"is it the right one?"}},
		{"nothing there", filepath.Join(dir, "absent"), []string{"reading what --secrets names"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadManifests(tc.path)
			for _, says := range tc.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("error %v, want %q", err, says)
				}
			}
		})
	}
}
