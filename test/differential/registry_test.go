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

package differential

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	serviceregistry "k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
	servicestorage "k8s.io/kubernetes/pkg/registry/core/service/storage"
)

// registry is the part of the server that takes a Service in: allocation, which
// comes first, and then the strategy. Its allocators have every number free.
type registry struct {
	families []corev1.IPFamily
	rest     *servicestorage.REST
}

func newRegistry(families ...corev1.IPFamily) (*registry, error) {
	options := generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{
			Config:        storagebackend.Config{Codec: legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion)},
			GroupResource: schema.GroupResource{Resource: "services"},
		},
		Decorator:      noStorage,
		ResourcePrefix: "services",
	}
	ips := map[api.IPFamily]ipallocator.Interface{}
	for _, family := range families {
		ips[api.IPFamily(family)] = freeIPs{family}
	}
	service, _, _, err := servicestorage.NewREST(options, api.IPFamily(families[0]), ips, &freePorts{}, nil, nil, nil)
	return &registry{families, service}, err
}

// create is what happens to a Service that is posted.
func (r *registry) create(svc *corev1.Service) ([]problem, error) {
	svc = svc.DeepCopy()
	legacyscheme.Scheme.Default(svc)
	object := internal[*api.Service](svc)
	object.UID, object.CreationTimestamp = types.UID("u"), metav1.Now()
	ctx := requestFor("", "services", svc.Namespace)
	finish, err := r.rest.BeginCreate(ctx, object, &metav1.CreateOptions{})
	if err != nil {
		return causes(err)
	}
	defer finish(ctx, false)
	return causes(rest.BeforeCreate(serviceregistry.Strategy, ctx, object))
}

// errFails is the answer 500, which names no field.
var errFails = errors.New("the allocator fails")

// update is what happens to a Service that is put in the place of another.
func (r *registry) update(before, after *corev1.Service) (_ []problem, err error) {
	defer func() {
		// As a server does: it has no allocator for the second family of what
		// becomes headless without a selector in a cluster of one family.
		if why := recover(); why != nil {
			err = fmt.Errorf("%w: %v", errFails, why)
		}
	}()
	after = after.DeepCopy()
	legacyscheme.Scheme.Default(after)
	object, old := internal[*api.Service](after), internal[*api.Service](before)
	ctx := requestFor("", "services", after.Namespace)
	finish, err := r.rest.BeginUpdate(ctx, object, old, &metav1.UpdateOptions{})
	if err != nil && strings.HasPrefix(err.Error(), "duplicate nodePort") {
		return nil, fmt.Errorf("%w: %w", errFails, err)
	}
	if err != nil {
		return causes(err)
	}
	defer finish(ctx, false)
	return serviceServer.put(old, object, after.Namespace)
}

// allocateUpdate is what happens to an update before it is validated.
func (r *registry) allocateUpdate(before, after *corev1.Service) ([]problem, error) {
	ctx := requestFor("", "services", after.Namespace)
	finish, err := r.rest.BeginUpdate(ctx, internal[*api.Service](after), internal[*api.Service](before), &metav1.UpdateOptions{})
	if err != nil {
		return causes(err)
	}
	finish(ctx, false)
	return nil, nil
}

// causes are the field errors of an answer; anything else is no answer.
func causes(err error) ([]problem, error) {
	if err == nil {
		return nil, nil
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		return nil, err
	}
	var problems []problem
	for _, cause := range status.Status().Details.Causes {
		problems = append(problems, problem{string(cause.Type), cause.Field, cause.Message})
	}
	slices.SortFunc(problems, problem.compare)
	return problems, nil
}

func noStorage(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
	storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	return nil, func() {}, nil
}

type freeIPs struct{ family corev1.IPFamily }

// given are the addresses that the allocators give out.
var given = map[corev1.IPFamily]string{corev1.IPv4Protocol: "10.96.0.96", corev1.IPv6Protocol: "fd96::96"}

func (f freeIPs) AllocateNext() (net.IP, error) { return net.ParseIP(given[f.family]), nil }

func (f freeIPs) CIDR() net.IPNet               { return net.IPNet{} }
func (f freeIPs) IPFamily() api.IPFamily        { return api.IPFamily(f.family) }
func (f freeIPs) DryRun() ipallocator.Interface { return f }
func (freeIPs) Allocate(net.IP) error           { return nil }
func (freeIPs) Release(net.IP) error            { return nil }
func (freeIPs) ForEach(func(net.IP))            {}
func (freeIPs) Has(net.IP) bool                 { return false }
func (freeIPs) Destroy()                        {}
func (freeIPs) EnableMetrics()                  {}

// freePorts gives out numbers that no generated object asks for.
type freePorts struct{ next int }

func (f *freePorts) AllocateNext() (int, error) {
	f.next = (f.next + 1) % 1000
	return 50000 + f.next, nil
}

func (*freePorts) Allocate(int) error { return nil }
func (*freePorts) Release(int) error  { return nil }
func (*freePorts) ForEach(func(int))  {}
func (*freePorts) Has(int) bool       { return false }
func (*freePorts) Destroy()           {}
func (*freePorts) EnableMetrics()     {}
