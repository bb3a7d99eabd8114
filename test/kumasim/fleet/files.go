package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// mountError is why a volume cannot be mounted, in the words of a kubelet.
type mountError struct{ volume, text string }

func (e *mountError) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %s", e.volume, e.text)
}

// files are what the volumes of Secrets and ConfigMaps hold now, by the path in the control plane's container. The
// error is a mountError where one of them is missing and not optional.
func (p *pod) files(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, v := range p.obj.Spec.Volumes {
		var data map[string]string
		var items []corev1.KeyToPath
		var err error
		switch {
		case v.Secret != nil:
			items = v.Secret.Items
			data, err = p.referred(ctx, "secret", v.Secret.SecretName, v.Secret.Optional)
		case v.ConfigMap != nil:
			items = v.ConfigMap.Items
			data, err = p.referred(ctx, "configmap", v.ConfigMap.Name, v.ConfigMap.Optional)
		}
		var missing *configError
		if errors.As(err, &missing) {
			return nil, &mountError{v.Name, missing.text}
		}
		if err != nil {
			return nil, err
		}
		if items != nil {
			named := map[string]string{}
			for _, i := range items {
				if value, there := data[i.Key]; there {
					named[i.Path] = value
				}
			}
			data = named
		}
		for _, m := range p.container().VolumeMounts {
			for name, value := range data {
				switch {
				case m.Name == v.Name && m.SubPath == "":
					all[path.Join(m.MountPath, name)] = value
				case m.Name == v.Name && m.SubPath == name:
					all[path.Clean(m.MountPath)] = value
				}
			}
		}
	}
	return all, nil
}

// tokenFile puts the file at a path of the container where a process of ours can read it, and follows its changes
// until ctx ends, as a kubelet does for a volume (but not where a single file is mounted, by subPath). The caller
// removes the directory.
func (p *pod) tokenFile(ctx context.Context, at string, files map[string]string) (dir, name string, err error) {
	if dir, err = os.MkdirTemp("", "kumasim-"); err != nil {
		return "", "", fmt.Errorf("make a directory for the token file: %w", err)
	}
	name = filepath.Join(dir, "token")
	text, there := files[path.Clean(at)]
	if there {
		err = os.WriteFile(name, []byte(text), 0o600)
	}
	for _, m := range p.container().VolumeMounts {
		if m.SubPath != "" && path.Clean(m.MountPath) == path.Clean(at) {
			return dir, name, err
		}
	}
	p.k.f.all.Go(func() {
		for ctx.Err() == nil {
			if pause(ctx, resync); ctx.Err() != nil {
				return
			}
			files, err := limited(ctx, p.files)
			if now, there := files[path.Clean(at)]; err == nil && there && now != text {
				if os.WriteFile(name+".new", []byte(now), 0o600) == nil && os.Rename(name+".new", name) == nil {
					text = now
				}
			}
		}
	})
	return dir, name, err
}

// configFile is where the chart mounts the configuration.
const configFile = "/etc/kuma.io/kuma-control-plane/config.yaml"

// configured adds to an environment what the configuration file says of the settings that are played; a variable that
// is set goes before it. The keys of before 3.0 are not read from then on.
func (v version) configured(env map[string]string, config map[string]any) map[string]string {
	keys := map[string]string{
		"mode": modeName, "multizone.zone.name": zoneName, "environment": environment, "store.type": storeType,
	}
	if v.names() != kumasim.NewNames {
		keys["kmesh.multizone.global.kds.auth.type"] = oldType
		keys["kmesh.multizone.zone.kds.auth.cpTokenInline"] = oldInline
		keys["kmesh.multizone.zone.kds.auth.cpTokenPath"] = oldPath
	}
	if v.names() != kumasim.OldNames {
		keys["multizone.global.kds.auth.type"] = newType
		keys["multizone.zone.kds.auth.tokenInline"] = newInline
		keys["multizone.zone.kds.auth.tokenPath"] = newPath
	}
	out := maps.Clone(env)
	for key, variable := range keys {
		var at any = config
		for _, step := range strings.Split(key, ".") {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		if _, set := env[variable]; !set && at != nil {
			out[variable] = fmt.Sprint(at)
		}
	}
	return out
}
