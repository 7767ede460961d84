// The objects the app reads, in the shape of the API's schemas, and the Kubernetes envelopes around them.

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
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
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

export type Activity =
  | 'Starting'
  | 'Working'
  | 'NeedsInput'
  | 'Idle'
  | 'RateLimited'
  | 'Finished'
  | 'Failed'
  | 'Stopped'
  | 'Unknown';

export interface LocalRef {
  name: string;
}

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef: { name: string; key: string } };
}

export interface AgentSpec {
  classRef?: LocalRef;
  repoRef?: LocalRef;
  baseRef?: string;
  branch?: string;
  directory?: string;
  adapter?: string;
  options?: Record<string, string | number | boolean>;
  args?: string[];
  command?: string[];
  prompt?: { text?: string };
  env?: EnvVar[];
  host?: { name?: string; selector?: { matchLabels?: Record<string, string> } };
  run?: 'Running' | 'Stopped' | 'Hibernated' | 'Archived';
  restart?: { policy: 'Never' | 'OnFailure' | 'Always'; limit?: number };
  onDelete?: { worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard'; branch?: 'Keep' | 'DeleteWhenMerged' };
  terminal?: { cols: number; rows: number };
  log?: { maxBytes?: number | string };
}

export interface AgentStatus {
  observedGeneration?: number;
  hostName?: string;
  number?: number;
  activity?: Activity;
  activitySince?: Time;
  activitySource?: string;
  message?: string;
  session?: { tmux: string; pid?: number; epoch: number };
  worktree?: {
    path: string;
    branch?: string;
    baseSHA?: string;
    headSHA?: string;
    ahead?: number;
    behind?: number;
    dirty?: boolean;
    changes?: { files: number; added: number; removed: number };
    pushed?: boolean;
  };
  log?: { first: number; head: number };
  restarts?: number;
  exit?: { epoch: number; code?: number; signal?: string; reason: string; time: Time };
  effective?: { adapter: string; restart?: { policy: string; limit?: number }; onDelete?: { worktree?: string; branch?: string } };
  conditions?: Condition[];
}

export interface Agent extends KubeObject {
  kind: 'Agent';
  spec: AgentSpec;
  status?: AgentStatus;
}

export interface Repo extends KubeObject {
  kind: 'Repo';
  spec: { url?: string; path?: string; initialize?: boolean; defaultBranch?: string };
  status?: {
    location?: string;
    defaultBranch?: string;
    agents?: number;
    mirrors?: { host: string; headSHA?: string; lastFetchTime?: Time }[];
    conditions?: Condition[];
  };
}

export interface Host extends KubeObject {
  kind: 'Host';
  spec: { unschedulable?: boolean; taints?: { key: string; value?: string }[]; maxAgents?: number };
  status?: {
    info?: { os: string; arch: string; version: string; tmux: string; git: string; cpus: number; memoryBytes: number; labels?: Record<string, string> };
    agents?: number;
    lastSeenTime?: Time;
    conditions?: Condition[];
  };
}

export interface AgentClass extends KubeObject {
  kind: 'AgentClass';
  spec: { adapter?: string };
}

export interface Source extends KubeObject {
  kind: 'Source';
  spec: { path: string };
  status?: {
    failures?: { file: string; line?: number; column?: number; message: string }[];
    conditions?: Condition[];
  };
}

/** A core/v1 Event. */
export interface KubeEvent extends KubeObject {
  kind: 'Event';
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
