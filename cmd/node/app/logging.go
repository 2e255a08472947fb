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

package app

import (
	"github.com/go-logr/logr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlzap "sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// logging is the process's logger, whose verbosity may change.
type logging struct {
	logr.Logger
	level zap.AtomicLevel
}

// newLogging follows kube-proxy's flags; those named zap- win, since they can
// say more.
func newLogging(o *Options) logging {
	l := logging{level: zap.NewAtomicLevel()}
	l.setVerbosity(int(o.Proxy.Logging.Verbosity))
	if o.Zap.Level == nil {
		o.Zap.Level = l.level
	}
	if o.Zap.NewEncoder == nil && o.Proxy.Logging.Format == "json" {
		ctrlzap.JSONEncoder()(&o.Zap)
	} else if o.Zap.NewEncoder == nil {
		ctrlzap.ConsoleEncoder()(&o.Zap)
	}
	l.Logger = ctrlzap.New(ctrlzap.UseFlagOptions(&o.Zap))
	ctrllog.SetLogger(l.Logger)
	klog.SetLogger(l.WithName("client-go"))
	return l
}

// setVerbosity logs V(0) to V(verbosity).
func (l logging) setVerbosity(verbosity int) { l.level.SetLevel(zapcore.Level(-min(verbosity, 127))) }
