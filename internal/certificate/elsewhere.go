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

package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
)

// oneInstallation is what to do where there are two. To delete the manifests of one
// would delete what they share, and with the CRDs all pools.
const oneInstallation = "a cluster has one installation: apply the manifests of the one to keep once more, and delete the namespace of the other"

// away is what a process knows of other installations. The objects that are in no
// namespace have the same names in each, so the last one that was applied has them.
type away struct {
	mu sync.Mutex
	// services are those of others that webhooks lead to in place of ours.
	services []string
	// told are the namespaces of those that had the webhooks before.
	told []string
}

// elsewhere are the Services, as namespace/name, that webhooks lead to in place of one in
// the namespace.
func elsewhere(namespace string, configurations []configuration) (services []string) {
	for _, c := range configurations {
		for _, webhook := range c.clients() {
			if s := webhook.Service; s != nil && s.Namespace != namespace {
				services = append(services, s.Namespace+"/"+s.Name)
			}
		}
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// look says once that webhooks lead to another installation. Whom those trust is left to
// that one.
func (a *away) look(ctx context.Context, namespace string, configurations []configuration) {
	services := elsewhere(namespace, configurations)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(services) == 0 || slices.Equal(services, a.services) {
		return
	}
	a.services = services
	ctrl.LoggerFrom(ctx).Error(errTaken, "Nobody asks the webhooks of this installation",
		"namespace", namespace, "services", services, "remedy", oneInstallation)
}

// back says once that none does any more, which counts when they trust us again.
func (a *away) back(ctx context.Context, namespace string, configurations []configuration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.services) > 0 && len(elsewhere(namespace, configurations)) == 0 {
		a.services = nil
		ctrl.LoggerFrom(ctx).Info("The webhook configurations lead to this installation again", "namespace", namespace)
	}
}

// taken says once from whom the webhooks were taken: what they trust tells who had
// them before.
func (a *away) taken(ctx context.Context, home Home, trusted []*x509.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, namespace := range home.others(trusted) {
		if !slices.Contains(a.told, namespace) {
			a.told = append(a.told, namespace)
			ctrl.LoggerFrom(ctx).Error(errTook, "The installation of another namespace had the webhook configurations before",
				"namespace", home.Namespace, "other", namespace, "remedy", oneInstallation)
		}
	}
}

var (
	errTaken = errors.New("the webhook configurations lead to another installation")
	errTook  = errors.New("the webhook configurations lead here now: if the other installation still runs, nobody asks it")
)

// Elsewhere is an error where webhooks lead to another installation.
func (r *Reconciler) Elsewhere() error {
	r.away.mu.Lock()
	defer r.away.mu.Unlock()
	if len(r.away.services) == 0 {
		return nil
	}
	return fmt.Errorf("%w, by Service %s; %s", errTaken, strings.Join(r.away.services, " and "), oneInstallation)
}

// withoutRights finds out why the configurations can not be read. Another installation
// takes the rights as well, but what was watched before is still told.
func (r *Reconciler) withoutRights(ctx context.Context, err error) (ctrl.Result, error) {
	if !apierrors.IsForbidden(err) {
		return ctrl.Result{}, err
	}
	if cached, problem := r.configurations(ctx, r.client); problem == nil {
		r.away.look(ctx, r.Secret.Namespace, cached)
	}
	if r.Elsewhere() == nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: longestPause}, nil // until the rights are back
}
