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

package runner

import (
	"context"
	"errors"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// newVolumeKeeper is one for the worker's Pod, which has these addresses.
func (w *worker) newVolumeKeeper(ips []netip.Addr) *volumeKeeper {
	read := podContent{r: w.r, ips: ips, tokens: &tokens{client: w.r.client, clock: w.r.config.Clock}}
	k := &volumeKeeper{content: read.volume, latest: w.latest, clock: w.r.config.Clock, log: w.r.log, watch: w.r.watchObjects}
	k.begin()
	return k
}

// podContent reads what a Pod's volumes hold.
type podContent struct {
	r      *Runner
	ips    []netip.Addr
	tokens *tokens
}

// volume reads the objects that a volume is made of.
func (c podContent) volume(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (payload, time.Time, error) {
	configMap, secret := reader(c.r.configMapReader(ctx, pod.Namespace)), reader(c.r.secretReader(ctx, pod.Namespace))
	own := envSource{pod: pod, podIPs: c.ips, nodeIPs: c.r.config.NodeIPs}
	p := payload{}
	var until time.Time
	switch {
	case v.ConfigMap != nil:
		return p, until, p.add(configMap, "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional, v.ConfigMap.DefaultMode)
	case v.Secret != nil:
		return p, until, p.add(secret, "Secret", v.Secret.SecretName, v.Secret.Items, v.Secret.Optional, v.Secret.DefaultMode)
	case v.DownwardAPI != nil:
		return p, until, p.addFields(own, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	}
	mode := v.Projected.DefaultMode
	for _, source := range v.Projected.Sources {
		var err error
		switch {
		case source.ServiceAccountToken != nil:
			var t token
			if t, err = c.tokens.get(ctx, pod, v.Name, source.ServiceAccountToken); err == nil {
				p.addToken(source.ServiceAccountToken.Path, t.text, pod, mode)
				until = earlier(until, t.refresh)
			}
		case source.ConfigMap != nil:
			err = p.add(configMap, "ConfigMap", source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional, mode)
		case source.Secret != nil:
			err = p.add(secret, "Secret", source.Secret.Name, source.Secret.Items, source.Secret.Optional, mode)
		case source.DownwardAPI != nil:
			err = p.addFields(own, source.DownwardAPI.Items, mode)
		}
		if err != nil {
			return nil, until, err
		}
	}
	return p, until, nil
}

// earlier takes the zero time for never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// watchObjects watches each ConfigMap and Secret of a volume.
func (r *Runner) watchObjects(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, changed func()) error {
	configMaps, secrets := objectsOf(v)
	var errs []error
	for _, name := range configMaps {
		errs = append(errs, r.watches.follow(ctx, watched{"ConfigMap", pod.Namespace, name}, changed))
	}
	for _, name := range secrets {
		errs = append(errs, r.watches.follow(ctx, watched{"Secret", pod.Namespace, name}, changed))
	}
	return errors.Join(errs...)
}

func objectsOf(v *corev1.Volume) (configMaps, secrets []string) {
	switch {
	case v.ConfigMap != nil:
		configMaps = append(configMaps, v.ConfigMap.Name)
	case v.Secret != nil:
		secrets = append(secrets, v.Secret.SecretName)
	case v.Projected != nil:
		for _, source := range v.Projected.Sources {
			if source.ConfigMap != nil {
				configMaps = append(configMaps, source.ConfigMap.Name)
			}
			if source.Secret != nil {
				secrets = append(secrets, source.Secret.Name)
			}
		}
	}
	return configMaps, secrets
}
