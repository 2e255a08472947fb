/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package certificates

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"switchyard.dev/switchyard/cmd/manager/app"
)

// volume is a Secret as a kubelet mounts it: files are links through ..data,
// which is exchanged in one step.
type volume struct {
	dir     string
	version int
}

func (v *volume) write(files map[string][]byte) error {
	v.version++
	name := fmt.Sprintf("..%d", v.version)
	if err := os.Mkdir(filepath.Join(v.dir, name), 0o700); err != nil {
		return err
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(v.dir, name, file), text, 0o600); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(v.dir, file)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	before, _ := os.Readlink(filepath.Join(v.dir, "..data"))
	next := filepath.Join(v.dir, "..data_tmp")
	if err := errors.Join(os.Symlink(name, next), os.Rename(next, filepath.Join(v.dir, "..data"))); err != nil {
		return err
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(v.dir, before))
}

// inject is what cert-manager's cainjector does when a Secret changes.
func (s *scene) inject(authorities []byte) error {
	validating, mutating, err := s.configurations()
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = authorities
	}
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = authorities
	}
	return errors.Join(s.api.Update(s.Context(), validating), s.api.Update(s.Context(), mutating))
}

// serves is what a server shows, whoever signed it.
func serves(address string) (string, error) {
	connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	return string(connection.ConnectionState().PeerCertificates[0].Raw), nil
}

func TestCertManagersCertificatesAreExchangedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	manager := s.newCertManager()
	files, err := manager.webhook().files()
	s.must(err)
	var volumes []*volume
	var metrics []string
	s.prepare = func() error { return s.inject(manager.webhook().bundle()) }
	s.start(func(_ int, options *app.Options) {
		v := &volume{dir: t.TempDir()}
		s.must(v.write(files))
		volumes, metrics = append(volumes, v), append(metrics, s.freeAddress())
		options.Webhooks.Dir, options.Metrics.Dir = v.dir, v.dir
		options.Metrics.BindAddress = metrics[len(metrics)-1]
	})
	w := s.watch()
	load := s.populate()

	// A Secret reaches the API server and each of the nodes at a time of its own.
	for round, authority := range []bool{false, true, false, true, false, false} {
		s.must(manager.renew(manager.named(authority)))
		files, err := manager.webhook().files()
		s.must(err)
		steps := []func(){
			func() {
				s.within("the authorities can not be injected", func() error { return s.inject(manager.webhook().bundle()) })
			},
			func() { s.must(volumes[0].write(files)) },
			func() { s.must(volumes[1].write(files)) },
		}
		for step := range steps {
			steps[(step+round)%len(steps)]()
			s.answered(load, 5)
		}
		for _, address := range append(metrics, s.webhooks...) {
			s.within("a certificate is not read again", func() error {
				shown, err := serves(address)
				if err == nil && shown != string(manager.webhook().cert.Raw) {
					err = fmt.Errorf("%s serves another one", address)
				}
				return err
			})
		}
	}

	load.stop()
	s.noCallFailed(load.failed)
	authorities, _, leaves := w.counts()
	t.Logf("%d authorities, %d certificates, %d handshakes; %d Services made and %d refused",
		authorities, leaves, w.handshakes, load.made.Load(), load.refused.Load())
}

// answered waits until clients have been answered so many times more.
func (s *scene) answered(load *traffic, more int64) {
	s.Helper()
	had := load.refused.Load()
	s.within("clients are not answered", func() error {
		if now := load.refused.Load(); now < had+more {
			return fmt.Errorf("%d answers in place of %d", now, had+more)
		}
		return nil
	})
}
