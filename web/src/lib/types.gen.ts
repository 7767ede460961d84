// Generated from crd/ by `npm run types`. Do not edit.

/**
 * Values that agents inherit where they set none themselves.
 */
export interface AgentClassSpec {
  adapter?: string;
  env?: {
    name: string;
    value?: string;
    valueFrom?: {
      /**
       * A key of a Secret in the agent's namespace.
       */
      secretKeyRef: {
        key: string;
        name: string;
      };
    };
  }[];
  /**
   * Where an agent may be placed.
   */
  host?: {
    /**
     * Exactly this Host.
     */
    name?: string;
    /**
     * Any Host with these labels.
     */
    selector?: {
      /**
       * matchExpressions is a list of label selector requirements. The requirements are ANDed.
       */
      matchExpressions?: {
        /**
         * key is the label key that the selector applies to.
         */
        key: string;
        /**
         * operator represents a key's relationship to a set of values. Valid operators are In, NotIn, Exists and DoesNotExist.
         */
        operator: string;
        /**
         * values is an array of string values. If the operator is In or NotIn, the values array must be non-empty. If the operator is Exists or DoesNotExist, the values array must be empty. This array is replaced during a strategic merge patch.
         */
        values?: string[];
      }[];
      /**
       * matchLabels is a map of {key,value} pairs. A single {key,value} in the matchLabels map is equivalent to an element of matchExpressions, whose key field is "key", the operator is "In", and the values array contains only "value". The requirements are ANDed.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * Taints that this agent may be placed beside.
     */
    tolerations?: {
      key: string;
      value?: string;
    }[];
  };
  /**
   * The log's bounds.
   */
  log?: {
    /**
     * How much of the terminal's output is kept, oldest first to go; 256Mi when absent.
     */
    maxBytes?: number | string;
  };
  /**
   * What becomes of worktree and branch when the Agent is deleted.
   */
  onDelete?: {
    branch?: 'Keep' | 'DeleteWhenMerged';
    worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
  };
  options?: {
    [k: string]: unknown;
  };
  /**
   * What to do when the command ends by itself.
   */
  restart?: {
    /**
     * How often, before the agent is left as Failed; no limit when absent.
     */
    limit?: number;
    policy: 'Never' | 'OnFailure' | 'Always';
  };
}

export interface AgentClassStatus {
  /**
   * How many agents name it.
   */
  agents?: number;
  conditions?: {
    /**
     * lastTransitionTime is the last time the condition transitioned from one status to another. This should be when the underlying condition changed.  If that is not known, then using the time when the API field changed is acceptable.
     */
    lastTransitionTime: string;
    /**
     * message is a human readable message indicating details about the transition. This may be an empty string.
     */
    message: string;
    /**
     * observedGeneration represents the .metadata.generation that the condition was set based upon. For instance, if .metadata.generation is currently 12, but the .status.conditions[x].observedGeneration is 9, the condition is out of date with respect to the current state of the instance.
     */
    observedGeneration?: number;
    /**
     * reason contains a programmatic identifier indicating the reason for the condition's last transition. Producers of specific condition types may define expected values and meanings for this field, and whether the values are considered a guaranteed API. The value should be a CamelCase string. This field may not be empty.
     */
    reason: string;
    /**
     * status of the condition, one of True, False, Unknown.
     */
    status: string;
    /**
     * type of condition in CamelCase or in foo.example.com/CamelCase.
     */
    type: string;
  }[];
  observedGeneration?: number;
}

/**
 * One coding CLI, command or shell at work in a worktree and a terminal of its own.
 */
export interface AgentSpec {
  /**
   * Which CLI: the name or alias of an adapter.
   */
  adapter?: string;
  /**
   * Further arguments for the CLI.
   */
  args?: string[];
  /**
   * The branch or commit that the agent's branch starts from; the Repo's default branch when absent.
   */
  baseRef?: string;
  /**
   * The agent's own branch; `agent/<name>` when absent.
   */
  branch?: string;
  /**
   * The AgentClass whose values this agent inherits.
   */
  classRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * The argument vector to run, for adapter `command`; run as it is, never by a shell.
   */
  command?: string[];
  /**
   * Run in this directory of the host, without a worktree: an absolute path.
   */
  directory?: string;
  /**
   * Environment of the command.
   */
  env?: {
    name: string;
    value?: string;
    valueFrom?: {
      /**
       * A key of a Secret in the agent's namespace.
       */
      secretKeyRef: {
        key: string;
        name: string;
      };
    };
  }[];
  /**
   * Where it may be placed.
   */
  host?: {
    /**
     * Exactly this Host.
     */
    name?: string;
    /**
     * Any Host with these labels.
     */
    selector?: {
      /**
       * matchExpressions is a list of label selector requirements. The requirements are ANDed.
       */
      matchExpressions?: {
        /**
         * key is the label key that the selector applies to.
         */
        key: string;
        /**
         * operator represents a key's relationship to a set of values. Valid operators are In, NotIn, Exists and DoesNotExist.
         */
        operator: string;
        /**
         * values is an array of string values. If the operator is In or NotIn, the values array must be non-empty. If the operator is Exists or DoesNotExist, the values array must be empty. This array is replaced during a strategic merge patch.
         */
        values?: string[];
      }[];
      /**
       * matchLabels is a map of {key,value} pairs. A single {key,value} in the matchLabels map is equivalent to an element of matchExpressions, whose key field is "key", the operator is "In", and the values array contains only "value". The requirements are ANDed.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * Taints that this agent may be placed beside.
     */
    tolerations?: {
      key: string;
      value?: string;
    }[];
  };
  /**
   * The log's bounds.
   */
  log?: {
    /**
     * How much of the terminal's output is kept, oldest first to go; 256Mi when absent.
     */
    maxBytes?: number | string;
  };
  /**
   * What becomes of worktree and branch when the Agent is deleted.
   */
  onDelete?: {
    branch?: 'Keep' | 'DeleteWhenMerged';
    worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
  };
  /**
   * What the adapter offers: model, mode and so on.
   */
  options?: {
    [k: string]: unknown;
  };
  /**
   * The first task.
   */
  prompt?: {
    text?: string;
  };
  /**
   * The Repo to work on, in a worktree of its own.
   */
  repoRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * What to do when the command ends by itself.
   */
  restart?: {
    /**
     * How often, before the agent is left as Failed; no limit when absent.
     */
    limit?: number;
    policy: 'Never' | 'OnFailure' | 'Always';
  };
  /**
   * Whether it should be running.
   */
  run?: 'Running' | 'Stopped';
  /**
   * The terminal's size until a viewer brings its own.
   */
  terminal?: {
    cols: number;
    rows: number;
  };
}

export interface AgentStatus {
  /**
   * What it is doing now.
   */
  activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
  /**
   * Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.  Wrappers are provided for many of the factory methods that the time package offers.
   */
  activitySince?: string;
  /**
   * Which evidence decided the activity.
   */
  activitySource?: string;
  conditions?: {
    /**
     * lastTransitionTime is the last time the condition transitioned from one status to another. This should be when the underlying condition changed.  If that is not known, then using the time when the API field changed is acceptable.
     */
    lastTransitionTime: string;
    /**
     * message is a human readable message indicating details about the transition. This may be an empty string.
     */
    message: string;
    /**
     * observedGeneration represents the .metadata.generation that the condition was set based upon. For instance, if .metadata.generation is currently 12, but the .status.conditions[x].observedGeneration is 9, the condition is out of date with respect to the current state of the instance.
     */
    observedGeneration?: number;
    /**
     * reason contains a programmatic identifier indicating the reason for the condition's last transition. Producers of specific condition types may define expected values and meanings for this field, and whether the values are considered a guaranteed API. The value should be a CamelCase string. This field may not be empty.
     */
    reason: string;
    /**
     * status of the condition, one of True, False, Unknown.
     */
    status: string;
    /**
     * type of condition in CamelCase or in foo.example.com/CamelCase.
     */
    type: string;
  }[];
  /**
   * What agent, class and adapter came to together when this epoch started.
   */
  effective?: {
    /**
     * The adapter's own name, aliases resolved.
     */
    adapter: string;
    logMaxBytes: number;
    /**
     * What becomes of worktree and branch when the Agent is deleted.
     */
    onDelete: {
      branch?: 'Keep' | 'DeleteWhenMerged';
      worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
    };
    options?: {
      [k: string]: unknown;
    };
    /**
     * What to do when the command ends by itself.
     */
    restart: {
      /**
       * How often, before the agent is left as Failed; no limit when absent.
       */
      limit?: number;
      policy: 'Never' | 'OnFailure' | 'Always';
    };
    /**
     * A terminal's size in cells.
     */
    terminal: {
      cols: number;
      rows: number;
    };
  };
  /**
   * How the last epoch ended; never changes once set for an epoch.
   */
  exit?: {
    code?: number;
    epoch: number;
    reason: string;
    signal?: string;
    /**
     * Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.  Wrappers are provided for many of the factory methods that the time package offers.
     */
    time: string;
  };
  /**
   * The Host it was placed on.
   */
  hostName?: string;
  /**
   * The range of the terminal's output that the log holds.
   */
  log?: {
    first: number;
    head: number;
  };
  /**
   * One line for people.
   */
  message?: string;
  /**
   * Short, per namespace, assigned once and never reused: `regatta attach 3`.
   */
  number?: number;
  observedGeneration?: number;
  /**
   * How often the restart policy started it again.
   */
  restarts?: number;
  /**
   * The terminal it runs in.
   */
  session?: {
    /**
     * Counts the starts of the command.
     */
    epoch: number;
    pid?: number;
    /**
     * How to reach it with tmux itself: socket name and session, as in `tmux -L SOCKET attach -t SESSION`.
     */
    tmux: string;
  };
  /**
   * The agent's checkout.
   */
  worktree?: {
    /**
     * Commits on the branch that its base does not have.
     */
    ahead?: number;
    baseSHA?: string;
    behind?: number;
    branch?: string;
    /**
     * What is uncommitted, counted.
     */
    changes?: {
      added: number;
      files: number;
      removed: number;
    };
    /**
     * Whether anything is uncommitted.
     */
    dirty?: boolean;
    headSHA?: string;
    path: string;
    /**
     * Whether the remote has every commit of the branch.
     */
    pushed?: boolean;
  };
}

/**
 * A machine or pod on which agents live. Its labels are the object's labels.
 */
export interface HostSpec {
  /**
   * How many agents may be placed here; no limit when absent.
   */
  maxAgents?: number;
  /**
   * Only agents that tolerate them are placed here.
   */
  taints?: {
    key: string;
    value?: string;
  }[];
  /**
   * Place no new agents here; those that are here go on.
   */
  unschedulable?: boolean;
}

/**
 * What is known about a Host.
 */
export interface HostStatus {
  /**
   * How many agents are placed here.
   */
  agents?: number;
  conditions?: {
    /**
     * lastTransitionTime is the last time the condition transitioned from one status to another. This should be when the underlying condition changed.  If that is not known, then using the time when the API field changed is acceptable.
     */
    lastTransitionTime: string;
    /**
     * message is a human readable message indicating details about the transition. This may be an empty string.
     */
    message: string;
    /**
     * observedGeneration represents the .metadata.generation that the condition was set based upon. For instance, if .metadata.generation is currently 12, but the .status.conditions[x].observedGeneration is 9, the condition is out of date with respect to the current state of the instance.
     */
    observedGeneration?: number;
    /**
     * reason contains a programmatic identifier indicating the reason for the condition's last transition. Producers of specific condition types may define expected values and meanings for this field, and whether the values are considered a guaranteed API. The value should be a CamelCase string. This field may not be empty.
     */
    reason: string;
    /**
     * status of the condition, one of True, False, Unknown.
     */
    status: string;
    /**
     * type of condition in CamelCase or in foo.example.com/CamelCase.
     */
    type: string;
  }[];
  /**
   * What a host says about its machine.
   */
  info?: {
    arch: string;
    cpus: number;
    git: string;
    /**
     * Labels that the host asks for; put on the Host when it is first seen.
     */
    labels?: {
      [k: string]: string;
    };
    memoryBytes: number;
    os: string;
    tmux: string;
    /**
     * Regatta's version there.
     */
    version: string;
  };
  /**
   * When it was last heard from, as far as this object was told; the Lease in regatta-system is exact.
   */
  lastSeenTime?: string;
  observedGeneration?: number;
}

/**
 * A git repository that agents work on: each agent gets a worktree of it, on its own branch.
 */
export interface RepoSpec {
  /**
   * The branch that agents start from; the remote's HEAD when absent.
   */
  defaultBranch?: string;
  /**
   * Run `git init` in an empty `path`.
   */
  initialize?: boolean;
  /**
   * A repository (or, with `initialize`, an empty directory) on the host itself: an absolute path.
   */
  path?: string;
  /**
   * Where to clone from: https://, ssh://, git://, file:// or user@host:path. Never with a password in it.
   */
  url?: string;
}

/**
 * What is known about a Repo.
 */
export interface RepoStatus {
  /**
   * How many agents work on it.
   */
  agents?: number;
  conditions?: {
    /**
     * lastTransitionTime is the last time the condition transitioned from one status to another. This should be when the underlying condition changed.  If that is not known, then using the time when the API field changed is acceptable.
     */
    lastTransitionTime: string;
    /**
     * message is a human readable message indicating details about the transition. This may be an empty string.
     */
    message: string;
    /**
     * observedGeneration represents the .metadata.generation that the condition was set based upon. For instance, if .metadata.generation is currently 12, but the .status.conditions[x].observedGeneration is 9, the condition is out of date with respect to the current state of the instance.
     */
    observedGeneration?: number;
    /**
     * reason contains a programmatic identifier indicating the reason for the condition's last transition. Producers of specific condition types may define expected values and meanings for this field, and whether the values are considered a guaranteed API. The value should be a CamelCase string. This field may not be empty.
     */
    reason: string;
    /**
     * status of the condition, one of True, False, Unknown.
     */
    status: string;
    /**
     * type of condition in CamelCase or in foo.example.com/CamelCase.
     */
    type: string;
  }[];
  /**
   * The branch that agents start from, once known.
   */
  defaultBranch?: string;
  /**
   * The URL or path, in one field for people to read.
   */
  location?: string;
  /**
   * The clone on each host that has one.
   */
  mirrors?: {
    /**
     * The branch that the remote's HEAD names there.
     */
    defaultBranch?: string;
    /**
     * Why the clone cannot be made or refreshed.
     */
    error?: string;
    headSHA?: string;
    host: string;
    /**
     * Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.  Wrappers are provided for many of the factory methods that the time package offers.
     */
    lastFetchTime?: string;
  }[];
  observedGeneration?: number;
}

/**
 * A directory whose manifests are applied and pruned continuously.
 */
export interface SourceSpec {
  /**
   * What to do when another manager owns a field that a manifest sets.
   */
  conflict?: 'Report' | 'Force';
  /**
   * The namespace of manifests that name none; `default` when absent.
   */
  namespace?: string;
  /**
   * The directory, on the control plane's machine: an absolute path.
   */
  path: string;
  /**
   * Whether what disappears from the directory is deleted.
   */
  prune?: 'Enabled' | 'Disabled';
}

/**
 * What is known about a Source.
 */
export interface SourceStatus {
  applied?: number;
  conditions?: {
    /**
     * lastTransitionTime is the last time the condition transitioned from one status to another. This should be when the underlying condition changed.  If that is not known, then using the time when the API field changed is acceptable.
     */
    lastTransitionTime: string;
    /**
     * message is a human readable message indicating details about the transition. This may be an empty string.
     */
    message: string;
    /**
     * observedGeneration represents the .metadata.generation that the condition was set based upon. For instance, if .metadata.generation is currently 12, but the .status.conditions[x].observedGeneration is 9, the condition is out of date with respect to the current state of the instance.
     */
    observedGeneration?: number;
    /**
     * reason contains a programmatic identifier indicating the reason for the condition's last transition. Producers of specific condition types may define expected values and meanings for this field, and whether the values are considered a guaranteed API. The value should be a CamelCase string. This field may not be empty.
     */
    reason: string;
    /**
     * status of the condition, one of True, False, Unknown.
     */
    status: string;
    /**
     * type of condition in CamelCase or in foo.example.com/CamelCase.
     */
    type: string;
  }[];
  failed?: number;
  /**
   * Files that could not be applied; their last good state stays.
   */
  failures?: {
    column?: number;
    file: string;
    line?: number;
    message: string;
  }[];
  /**
   * Every object that came from here.
   */
  inventory?: {
    apiVersion: string;
    /**
     * The file that it was read from, relative to the path.
     */
    file: string;
    kind: string;
    name: string;
    namespace?: string;
    uid: string;
  }[];
  observedGeneration?: number;
  /**
   * Digest of the manifests that were last applied in full.
   */
  revision?: string;
}
