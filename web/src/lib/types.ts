// The objects the app reads: specs and statuses are generated from the CRDs, the Kubernetes envelopes around them are here.

import type {
  AgentClassSpec,
  AgentClassStatus,
  AgentSpec,
  AgentStatus,
  HostSpec,
  HostStatus,
  RepoSpec,
  RepoStatus,
  SourceSpec,
  SourceStatus,
} from './types.gen.ts';

export type { AgentSpec, AgentStatus };

export type Time = string;

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: Time;
  deletionTimestamp?: Time;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  managedFields?: unknown[];
}

export interface KubeObject {
  /** Items of a list may come without these two. */
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  /** True, False or Unknown. */
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: Time;
  observedGeneration?: number;
}

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** A Kubernetes Status: what every error of the API looks like. */
export interface Status {
  kind?: 'Status';
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { name?: string; kind?: string; causes?: StatusCause[]; retryAfterSeconds?: number };
}

export type Activity = NonNullable<AgentStatus['activity']>;

export interface Agent extends KubeObject {
  kind?: 'Agent';
  spec: AgentSpec;
  status?: AgentStatus;
}

export interface Repo extends KubeObject {
  kind?: 'Repo';
  spec: RepoSpec;
  status?: RepoStatus;
}

export interface Host extends KubeObject {
  kind?: 'Host';
  spec: HostSpec;
  status?: HostStatus;
}

export interface AgentClass extends KubeObject {
  kind?: 'AgentClass';
  spec: AgentClassSpec;
  status?: AgentClassStatus;
}

export interface Source extends KubeObject {
  kind?: 'Source';
  spec: SourceSpec;
  status?: SourceStatus;
}

/** A core/v1 Event. */
export interface KubeEvent extends KubeObject {
  kind?: 'Event';
  type?: 'Normal' | 'Warning';
  reason?: string;
  message?: string;
  note?: string;
  count?: number;
  series?: { count?: number; lastObservedTime?: Time };
  eventTime?: Time | null;
  firstTimestamp?: Time | null;
  lastTimestamp?: Time | null;
  involvedObject?: { kind?: string; name?: string; namespace?: string; uid?: string };
}

export type WakeState = 'working' | 'needs' | 'limited' | 'idle' | 'end';

/** One minute of an agent's life. */
export interface WakeBar {
  b: number;
  s: WakeState;
}

/** What a card shows of a terminal. */
export interface Screen {
  namespace: string;
  name: string;
  uid: string;
  lines: string[];
  cols: number;
  rows: number;
  wake: WakeBar[];
}

export function key(object: { metadata: { namespace?: string; name: string } }): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
