// Generated from crd/ by `npm run types`. Do not edit.

/**
 * A login at a provider, with its limits and its budget.
 */
export interface AccountSpec {
  /**
   * What it may cost.
   */
  budget?: {
    /**
     * Warn says so; Pause stops agents from taking another turn.
     */
    action: 'Warn' | 'Pause';
    /**
     * The most money, in US dollars.
     */
    maxCost?: string;
    /**
     * The most tokens, sent and received together.
     */
    maxTokens?: number;
    /**
     * The time that the limits are for.
     */
    period: 'Hour' | 'Day' | 'Week' | 'Month';
  };
  /**
   * How often a day, for Capped.
   */
  dailyBudget?: number;
  /**
   * The login that hosts already have.
   */
  hostLogin?: {
    /**
     * The CLI's configuration directory on the hosts; its usual one when absent.
     */
    directory?: string;
  };
  /**
   * Whose it is, such as `anthropic` or `openai`.
   */
  provider: string;
  /**
   * Whether agents that a limit stopped go on by themselves when it ends; Capped does so `dailyBudget` times a day.
   */
  resume?: 'Off' | 'Capped' | 'Unlimited';
  /**
   * What to say to the CLI then.
   */
  resumeText?: string;
  /**
   * A Secret whose keys are the environment variables that log in.
   */
  secretRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * Between two agents that go on; 5s when absent.
   */
  stagger?: string;
}

/**
 * What is known about an Account.
 */
export interface AccountStatus {
  /**
   * How many agents use it.
   */
  agents?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many of them wait for the limit to end.
   */
  parked?: number;
  /**
   * When the limit that holds agents up ends.
   */
  resetsAt?: string;
  /**
   * How much of each of the provider's limits is used.
   */
  windows?: {
    /**
     * What the provider calls it.
     */
    name: string;
    /**
     * When it starts anew.
     */
    resetsAt?: string;
    /**
     * How much of it is used.
     */
    usedPercent: number;
  }[];
}

/**
 * How to launch, observe, answer and meter one kind of CLI.
 */
export interface AdapterSpec {
  /**
   * Other names that people type.
   */
  aliases?: string[];
  /**
   * How its questions are answered.
   */
  approve?: {
    /**
     * The best way that the CLI has.
     */
    channel: 'None' | 'Hook' | 'AppServer' | 'Http' | 'Acp' | 'Keys';
    /**
     * How long the CLI waits for an answer by that way.
     */
    hold?: string;
    /**
     * Keys that answer, when the very same question is still on the screen.
     */
    keys?: {
      /**
       * Yes, from now on.
       */
      allowAlways?: string[];
      /**
       * Yes, this once.
       */
      allowOnce?: string[];
      /**
       * No.
       */
      deny?: string[];
      /**
       * Tools whose questions keys must never answer.
       */
      except?: string[];
      /**
       * What must be so before a key is pressed: ids of screen rules, or `title`.
       */
      guard?: string[];
    };
    /**
     * Evidence that a question was answered elsewhere.
     */
    resolvedBy?: string[];
  };
  /**
   * How files and pictures are handed over.
   */
  attachments?: {
    /**
     * The largest file.
     */
    maxBytes?: number | string;
    /**
     * As a path in the prompt, or by the CLI's own protocol.
     */
    mode: 'None' | 'Path' | 'Channel';
    /**
     * Media types that the CLI reads.
     */
    types?: string[];
  };
  /**
   * What a version can do that others cannot.
   */
  capabilities?: {
    /**
     * Names of what they can do.
     */
    features: string[];
    /**
     * The range, such as `>=2.1.295` or `>=1.0 <2`.
     */
    versions: string;
  }[];
  /**
   * How to find out whether, and in which version, a host has the CLI.
   */
  detect?: {
    /**
     * A regular expression whose first group is the version.
     */
    pattern: string;
    /**
     * The argument vector that prints the version.
     */
    version: string[];
  };
  /**
   * Start no new agents with it; running ones go on.
   */
  disabled?: boolean;
  /**
   * Exit codes that mean something.
   */
  exitCodes?: {
    /**
     * The code.
     */
    code: number;
    /**
     * Whether the agent did what it was asked to do.
     */
    outcome: 'Finished' | 'Failed';
    /**
     * What it means, in one word.
     */
    reason: string;
  }[];
  /**
   * Recorded streams beside the definition that tests replay.
   */
  fixtures?: string[];
  /**
   * What to do by itself when an agent is stuck; classes and agents add to it.
   */
  healing?: {
    /**
     * The least time between two uses; 1m when absent.
     */
    cooldown?: string;
    /**
     * What to do, in order.
     */
    do: {
      /**
       * Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
       */
      action: 'Send' | 'Keys' | 'Compact' | 'Restart' | 'Hibernate' | 'Notify';
      /**
       * What Keys presses, in tmux's names such as `Enter` or `C-c`.
       */
      keys?: string[];
      /**
       * Whether Restart gives the last prompt again.
       */
      replayPrompt?: boolean;
      /**
       * What Send types.
       */
      text?: string;
    }[];
    /**
     * The most uses in an hour; 3 when absent.
     */
    maxPerHour?: number;
    /**
     * Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
     */
    name: string;
    /**
     * All that is set must hold.
     */
    when: {
      /**
       * What the agent is doing.
       */
      activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
      /**
       * Less than this much of the model's context is left.
       */
      contextBelowPercent?: number;
      /**
       * The name of a piece of evidence that the adapter reports, such as an error class.
       */
      evidence?: string;
      /**
       * How the command ended.
       */
      exit?: 'Any' | 'Failure';
      /**
       * Idle for at least this long.
       */
      idleFor?: string;
      /**
       * The id of one of the adapter's screen rules, seen on the live region.
       */
      screen?: string;
    };
  }[];
  /**
   * How prompts are delivered.
   */
  input?: {
    /**
     * Evidence that the prompt was taken, such as `hook:UserPromptSubmit`.
     */
    accepted?: string;
    /**
     * What becomes of a prompt while a turn is at work.
     */
    busy?: 'Queue' | 'Steer' | 'Refuse';
    /**
     * The most bytes in one write.
     */
    chunk?: number;
    /**
     * As typed characters, as a bracketed paste, or by the CLI's own protocol.
     */
    deliver: 'Literal' | 'Bracketed' | 'Channel';
    /**
     * Between two writes.
     */
    gap?: string;
    /**
     * Between the last write and the key that submits.
     */
    settle?: string;
    /**
     * The key that submits; `Enter` when absent.
     */
    submit?: string;
  };
  /**
   * How the turn at work is broken off.
   */
  interrupt?: {
    /**
     * A call of the CLI's own protocol.
     */
    call?: string;
    /**
     * Keys to press.
     */
    keys?: string[];
  };
  /**
   * How to start the CLI.
   */
  launch: {
    /**
     * The argument vector. `${command}` alone stands for the agent's `spec.command`, `${args}` alone for `spec.args`,
     * `${env:NAME:-default}` for the host's own environment.
     */
    argv: string[];
    /**
     * Environment that the CLI needs.
     */
    env?: {
      /**
       * Its name.
       */
      name: string;
      /**
       * Its value.
       */
      value: string;
    }[];
    /**
     * Whether argv's program is run as it is, or the native binary behind its wrapper, which a signal to the wrapper would leave.
     */
    exec?: 'AsIs' | 'NativeBinary';
    /**
     * Arguments that begin with another agent's conversation.
     */
    fork?: string[];
    /**
     * What agents may set in `spec.options`.
     */
    options?: {
      /**
       * Arguments that hand it over; `${value}` stands for the value. A Boolean's are given when it is true.
       */
      argv: string[];
      /**
       * Values that switch a safeguard off; the page asks twice before it sets one.
       */
      dangerous?: string[];
      /**
       * The value when agent and class set none, as text.
       */
      default?: string;
      /**
       * Its name in `spec.options`.
       */
      name: string;
      /**
       * What a value is.
       */
      type: 'String' | 'Integer' | 'Boolean';
      /**
       * The values it may have; any when empty.
       */
      values?: string[];
    }[];
    /**
     * How the first prompt reaches the command.
     */
    prompt?: 'None' | 'Argv' | 'Line' | 'Paste' | 'Channel';
    /**
     * How an earlier conversation is taken up again.
     */
    resume?: {
      /**
       * Arguments that name it; `${conversation}` stands for its id.
       */
      argv: string[];
      /**
       * The argument of a first launch, and its value, that these take the place of.
       */
      replaces?: string;
      /**
       * When there is one.
       */
      when: 'Never' | 'TranscriptExists' | 'ConversationKnown';
    };
    /**
     * A process that runs beside the CLI and speaks for it.
     */
    server?: {
      /**
       * Its argument vector; `${socket}` stands for a socket of the agent's own.
       */
      argv: string[];
      /**
       * What it listens on.
       */
      listens: 'UnixSocket' | 'LoopbackPort';
    };
    /**
     * Files that are written for each launch.
     */
    settings?: {
      /**
       * The content; `${…}` as in argv.
       */
      content: string;
      /**
       * How the content is written.
       */
      format: 'Json' | 'Toml' | 'Yaml' | 'Text';
      /**
       * What `${settings:NAME}` in argv and env calls it.
       */
      name: string;
    }[];
    /**
     * Arguments that hand over the system prompt; `${systemPrompt}` stands for it.
     */
    systemPrompt?: string[];
    /**
     * Environment that the CLI must not see; a `*` at the end stands for anything.
     */
    unset?: string[];
  };
  /**
   * How rate limits show, and when they end.
   */
  limits?: {
    /**
     * Evidence of it, such as `hook:StopFailure=rate_limit`.
     */
    event?: string;
    /**
     * Names the limit.
     */
    id: string;
    /**
     * A regular expression on the live region.
     */
    match?: string;
    /**
     * The one menu that a key may answer: its own "wait" row.
     */
    menu?: {
      /**
       * A regular expression that only this menu matches.
       */
      match: string;
      /**
       * The keys that choose to wait, and spend nothing.
       */
      wait: string[];
    };
    /**
     * Where the time of its end is: a member of the evidence, or the first group of `match`.
     */
    reset?: string;
    /**
     * Versions that go on by themselves at the reset.
     */
    selfResumes?: string;
  }[];
  /**
   * Where to look for what an agent is doing.
   */
  observe?: {
    /**
     * Whether the CLI speaks the Agent Client Protocol.
     */
    acp?: 'Unsupported' | 'Supported';
    /**
     * The companion process speaks JSON-RPC.
     */
    appServer?: {
      /**
       * How messages are framed on its socket.
       */
      framing: 'WebSocket' | 'Lines';
    };
    /**
     * The CLI's hook events, and what each says.
     */
    hooks?: {
      /**
       * What the agent does from then on; nothing changes when absent.
       */
      activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
      /**
       * Whether the CLI waits for the hook's answer.
       */
      decides?: boolean;
      /**
       * The CLI's name for it; a matcher follows after a slash, as in `Notification/ToolPermission`.
       */
      event: string;
    }[];
    /**
     * The CLI serves HTTP.
     */
    http?: {
      /**
       * Path of its stream of events.
       */
      events: string;
    };
    /**
     * Whether the CLI prints OSC 7501 status sequences by itself or when asked.
     */
    osc7501?: 'Off' | 'Query' | 'Emits';
    /**
     * A file that the CLI keeps about itself.
     */
    registry?: {
      /**
       * The member that holds the status.
       */
      field: string;
      /**
       * Where it is, below the CLI's own directory; `${pid}` stands for the process id.
       */
      path: string;
      /**
       * What its values say.
       */
      states: {
        /**
         * What the agent is doing then.
         */
        activity: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
        /**
         * The value.
         */
        value: string;
      }[];
    };
    /**
     * What the terminal's title says, first match first.
     */
    title?: {
      /**
       * What the agent is doing then.
       */
      activity: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
      /**
       * A regular expression on the title.
       */
      pattern: string;
    }[];
    /**
     * The CLI's file of the conversation.
     */
    transcript?: {
      /**
       * How it is written.
       */
      format: 'JsonLines' | 'Json';
      /**
       * Where it is, below the CLI's own directory; `${conversation}` stands for the conversation's id.
       */
      path: string;
    };
  };
  /**
   * Buttons under the terminal on a phone.
   */
  quickKeys?: {
    /**
     * The keys that it presses.
     */
    keys: string[];
    /**
     * What is on it.
     */
    label: string;
  }[];
  /**
   * The restart policy of agents that set none.
   */
  restart: {
    /**
     * How often, before the agent is left as Failed; no limit when absent.
     */
    limit?: number;
    /**
     * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
     */
    policy: 'Never' | 'OnFailure' | 'Always';
  };
  /**
   * What to recognise on the rendered screen, first match first.
   */
  screen?: {
    /**
     * Names the rule, for healing rules, guards and explanations.
     */
    id: string;
    /**
     * A regular expression on the lines of the region.
     */
    match: string;
    /**
     * The answers that the screen offers.
     */
    options?: {
      /**
       * What it comes to.
       */
      effect: 'Allow' | 'AllowSession' | 'AllowAlways' | 'Deny' | 'Answer' | 'Cancel';
      /**
       * Names the answer.
       */
      id: string;
      /**
       * The keys that give it.
       */
      keys: string[];
      /**
       * What people read.
       */
      label: string;
    }[];
    /**
     * Where to look; Live when absent.
     */
    region?: 'Live' | 'Cursor' | 'Whole';
    /**
     * How long the screen must have been still; 400ms when absent.
     */
    settle?: string;
    /**
     * What the agent is doing when it matches.
     */
    state: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
    /**
     * A regular expression whose first group is what the question is about.
     */
    subject?: string;
    /**
     * It does not match where this does.
     */
    unless?: string;
  }[];
  /**
   * What ends the command politely, in order. Whatever is left after the last step is killed.
   */
  stop?: {
    /**
     * Press these keys.
     */
    keys?: string[];
    /**
     * Type this as a prompt.
     */
    send?: string;
    /**
     * Send this signal.
     */
    signal?: 'SIGHUP' | 'SIGINT' | 'SIGTERM';
    /**
     * Milliseconds until the next step.
     */
    waitMs: number;
  }[];
  /**
   * Where tokens and costs come from.
   */
  usage?: {
    /**
     * The member that tells one message from another, so that each is counted once.
     */
    key?: string;
    /**
     * Figures while a turn is at work.
     */
    live?: 'StatusLine' | 'Transcript' | 'AppServer' | 'Http';
    /**
     * What models cost, for a million tokens.
     */
    prices?: {
      /**
       * Tokens read from the provider's cache.
       */
      cacheRead?: string;
      /**
       * Tokens put into the provider's cache.
       */
      cacheWrite?: string;
      /**
       * Tokens sent.
       */
      input: string;
      /**
       * The model's name; a `*` at the end stands for anything.
       */
      model: string;
      /**
       * Tokens received.
       */
      output: string;
    }[];
    /**
     * Figures of finished turns.
     */
    tokens?: 'StatusLine' | 'Transcript' | 'AppServer' | 'Http';
  };
}

/**
 * What is known about an Adapter.
 */
export interface AdapterStatus {
  /**
   * The program that it starts.
   */
  command?: string;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * How many hosts have it.
   */
  hostCount?: number;
  /**
   * Which hosts have it, and in which version.
   */
  hosts?: {
    /**
     * Name of the Host.
     */
    name: string;
    /**
     * The version found there.
     */
    version?: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * Values that agents inherit where they set none themselves.
 */
export interface AgentClassSpec {
  /**
   * Which CLI: the name or alias of an adapter.
   */
  adapter?: string;
  /**
   * The ApprovalPolicy that answers questions of these agents first; it beats every policy that selects them by labels.
   */
  approvalPolicyRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * Environment of the command; an agent's entry replaces the class's of the same name.
   */
  env?: {
    /**
     * The variable's name.
     */
    name: string;
    /**
     * Its value, as it is: nothing is expanded.
     */
    value?: string;
    /**
     * Where its value comes from.
     */
    valueFrom?: {
      /**
       * A key of a Secret in the agent's namespace.
       */
      secretKeyRef: {
        /**
         * Key in its data.
         */
        key: string;
        /**
         * Name of the Secret.
         */
        name: string;
      };
    };
  }[];
  /**
   * What to do by itself when an agent is stuck, before the adapter's rules.
   */
  healing?: {
    /**
     * The least time between two uses; 1m when absent.
     */
    cooldown?: string;
    /**
     * What to do, in order.
     */
    do: {
      /**
       * Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
       */
      action: 'Send' | 'Keys' | 'Compact' | 'Restart' | 'Hibernate' | 'Notify';
      /**
       * What Keys presses, in tmux's names such as `Enter` or `C-c`.
       */
      keys?: string[];
      /**
       * Whether Restart gives the last prompt again.
       */
      replayPrompt?: boolean;
      /**
       * What Send types.
       */
      text?: string;
    }[];
    /**
     * The most uses in an hour; 3 when absent.
     */
    maxPerHour?: number;
    /**
     * Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
     */
    name: string;
    /**
     * All that is set must hold.
     */
    when: {
      /**
       * What the agent is doing.
       */
      activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
      /**
       * Less than this much of the model's context is left.
       */
      contextBelowPercent?: number;
      /**
       * The name of a piece of evidence that the adapter reports, such as an error class.
       */
      evidence?: string;
      /**
       * How the command ended.
       */
      exit?: 'Any' | 'Failure';
      /**
       * Idle for at least this long.
       */
      idleFor?: string;
      /**
       * The id of one of the adapter's screen rules, seen on the live region.
       */
      screen?: string;
    };
  }[];
  /**
   * Where agents may be placed.
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
       * What else must hold of its labels.
       */
      matchExpressions?: {
        /**
         * The label.
         */
        key: string;
        /**
         * How the label's value relates to `values`.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * What In and NotIn compare with.
         */
        values?: string[];
      }[];
      /**
       * Labels that the object must have, with these values.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * Taints that this agent may be placed beside.
     */
    tolerations?: {
      /**
       * Key of the taint.
       */
      key: string;
      /**
       * Value of the taint; any when absent.
       */
      value?: string;
    }[];
  };
  /**
   * How agents are kept apart from the rest of the host.
   */
  isolation?: {
    /**
     * The most processors it may use.
     */
    cpus?: number;
    /**
     * The image of a Container or Pod.
     */
    image?: string;
    /**
     * The most memory it may use.
     */
    memory?: number | string;
    /**
     * None: an ordinary process of the host's user. Sandbox: confined to its worktree. Container and Pod: in an image of its own.
     */
    mode: 'None' | 'Sandbox' | 'Container' | 'Pod';
    /**
     * What it may reach; Full when absent.
     */
    network?: 'None' | 'Full' | 'Loopback';
  };
  /**
   * How many agents of this class may exist on one Repo at the same time; 1 for an orchestrator.
   */
  limitPerRepo?: number;
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
   * What becomes of worktree and branch when an Agent is deleted.
   */
  onDelete?: {
    /**
     * Keep when absent.
     */
    branch?: 'Keep' | 'DeleteWhenMerged';
    /**
     * DeleteWhenClean when absent.
     */
    worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
  };
  /**
   * What the adapter offers; an agent's option replaces the class's of the same name.
   */
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
    /**
     * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
     */
    policy: 'Never' | 'OnFailure' | 'Always';
  };
  /**
   * Added to what the CLI tells its model about itself.
   */
  systemPrompt?: string;
}

/**
 * What is known about an AgentClass.
 */
export interface AgentClassStatus {
  /**
   * How many agents name it.
   */
  agents?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * One coding CLI, command or shell at work in a worktree and a terminal of its own.
 */
export interface AgentSpec {
  /**
   * The Account whose login and limits it uses.
   */
  accountRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * Which CLI: the name or alias of an adapter. The class's when absent; else `command` with `spec.command`, `shell` without.
   */
  adapter?: string;
  /**
   * The ApprovalPolicy that answers its questions first; it beats every policy that selects the agent by labels.
   */
  approvalPolicyRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
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
   * The AgentClass whose values this agent inherits where it sets none itself.
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
   * Environment of the command; the class's entries come first, entries of the same name replace them.
   */
  env?: {
    /**
     * The variable's name.
     */
    name: string;
    /**
     * Its value, as it is: nothing is expanded.
     */
    value?: string;
    /**
     * Where its value comes from.
     */
    valueFrom?: {
      /**
       * A key of a Secret in the agent's namespace.
       */
      secretKeyRef: {
        /**
         * Key in its data.
         */
        key: string;
        /**
         * Name of the Secret.
         */
        name: string;
      };
    };
  }[];
  /**
   * Begin with the conversation and the commit of another agent's turn.
   */
  forkFrom?: {
    /**
     * Name of that Agent, in the same namespace.
     */
    agent: string;
    /**
     * The turn after which the new conversation begins, counted from 1; the last when absent.
     */
    turn?: number;
  };
  /**
   * What to do by itself when the agent is stuck, before the class's and the adapter's rules.
   */
  healing?: {
    /**
     * The least time between two uses; 1m when absent.
     */
    cooldown?: string;
    /**
     * What to do, in order.
     */
    do: {
      /**
       * Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
       */
      action: 'Send' | 'Keys' | 'Compact' | 'Restart' | 'Hibernate' | 'Notify';
      /**
       * What Keys presses, in tmux's names such as `Enter` or `C-c`.
       */
      keys?: string[];
      /**
       * Whether Restart gives the last prompt again.
       */
      replayPrompt?: boolean;
      /**
       * What Send types.
       */
      text?: string;
    }[];
    /**
     * The most uses in an hour; 3 when absent.
     */
    maxPerHour?: number;
    /**
     * Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
     */
    name: string;
    /**
     * All that is set must hold.
     */
    when: {
      /**
       * What the agent is doing.
       */
      activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
      /**
       * Less than this much of the model's context is left.
       */
      contextBelowPercent?: number;
      /**
       * The name of a piece of evidence that the adapter reports, such as an error class.
       */
      evidence?: string;
      /**
       * How the command ended.
       */
      exit?: 'Any' | 'Failure';
      /**
       * Idle for at least this long.
       */
      idleFor?: string;
      /**
       * The id of one of the adapter's screen rules, seen on the live region.
       */
      screen?: string;
    };
  }[];
  /**
   * After this long Idle the command is ended and its conversation kept; the next input starts it again.
   */
  hibernateAfter?: string;
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
       * What else must hold of its labels.
       */
      matchExpressions?: {
        /**
         * The label.
         */
        key: string;
        /**
         * How the label's value relates to `values`.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * What In and NotIn compare with.
         */
        values?: string[];
      }[];
      /**
       * Labels that the object must have, with these values.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * Taints that this agent may be placed beside.
     */
    tolerations?: {
      /**
       * Key of the taint.
       */
      key: string;
      /**
       * Value of the taint; any when absent.
       */
      value?: string;
    }[];
  };
  /**
   * Terminal: in a terminal that people watch and type into. Headless: by the CLI's own protocol, as a chat.
   */
  interface?: 'Terminal' | 'Headless';
  /**
   * How it is kept apart from the rest of the host.
   */
  isolation?: {
    /**
     * The most processors it may use.
     */
    cpus?: number;
    /**
     * The image of a Container or Pod.
     */
    image?: string;
    /**
     * The most memory it may use.
     */
    memory?: number | string;
    /**
     * None: an ordinary process of the host's user. Sandbox: confined to its worktree. Container and Pod: in an image of its own.
     */
    mode: 'None' | 'Sandbox' | 'Container' | 'Pod';
    /**
     * What it may reach; Full when absent.
     */
    network?: 'None' | 'Full' | 'Loopback';
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
    /**
     * Keep when absent.
     */
    branch?: 'Keep' | 'DeleteWhenMerged';
    /**
     * DeleteWhenClean when absent.
     */
    worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
  };
  /**
   * What the adapter offers: model, mode and so on. A value is a string, an integer or a boolean.
   */
  options?: {
    [k: string]: unknown;
  };
  /**
   * The first task: exactly one of a text, a ConfigMap's key and a Task.
   */
  prompt?: {
    /**
     * A key of a ConfigMap that holds the words.
     */
    configMapRef?: {
      /**
       * Key in its data.
       */
      key: string;
      /**
       * Name of the ConfigMap.
       */
      name: string;
    };
    /**
     * A Task whose title and body are the words, and which the agent claims.
     */
    taskRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The task in words.
     */
    text?: string;
  };
  /**
   * After this long without output a condition `Quiet` says so; what the agent is doing stays what it is.
   */
  quietAfter?: string;
  /**
   * The Repo to work on, in a worktree of its own. Without it and without `directory`, an empty directory of its own.
   */
  repoRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * What to do when the command ends by itself; the adapter's policy when absent.
   */
  restart?: {
    /**
     * How often, before the agent is left as Failed; no limit when absent.
     */
    limit?: number;
    /**
     * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
     */
    policy: 'Never' | 'OnFailure' | 'Always';
  };
  /**
   * What to say to the CLI when a rate limit has passed; the Account's text when absent.
   */
  resumeText?: string;
  /**
   * Whether it should be running. Stopped ends the command and keeps everything else.
   */
  run?: 'Running' | 'Stopped' | 'Hibernated' | 'Archived';
  /**
   * Skills that the CLI is given at launch.
   */
  skills?: {
    /**
     * Name of the object.
     */
    name: string;
  }[];
  /**
   * Added to what the CLI tells its model about itself.
   */
  systemPrompt?: string;
  /**
   * The terminal's size until a viewer brings its own.
   */
  terminal?: {
    /**
     * Columns.
     */
    cols: number;
    /**
     * Rows.
     */
    rows: number;
  };
  /**
   * Delete the Agent this long after it finished.
   */
  ttlAfterFinished?: string;
  /**
   * Whose worktree, and who its commits are from.
   */
  worktree?: {
    /**
     * The Agent whose worktree is shared.
     */
    agentRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * Author and committer of its commits; the repository's or the user's own when absent.
     */
    identity?: {
      /**
       * The address in commits.
       */
      email: string;
      /**
       * The name in commits.
       */
      name: string;
    };
    /**
     * Own: a worktree for this agent alone. Shared: that of `agentRef`.
     */
    mode?: 'Own' | 'Shared';
  };
}

/**
 * What is known about an Agent.
 */
export interface AgentStatus {
  /**
   * What it is doing now.
   */
  activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
  /**
   * Since when.
   */
  activitySince?: string;
  /**
   * Which evidence decided the activity.
   */
  activitySource?: string;
  /**
   * How many questions of it are open.
   */
  approvals?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
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
    /**
     * How much output is kept.
     */
    logMaxBytes: number;
    /**
     * What becomes of worktree and branch when the Agent is deleted.
     */
    onDelete: {
      /**
       * Keep when absent.
       */
      branch?: 'Keep' | 'DeleteWhenMerged';
      /**
       * DeleteWhenClean when absent.
       */
      worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
    };
    /**
     * Options of class and agent together.
     */
    options?: {
      [k: string]: unknown;
    };
    /**
     * What happens when the command ends by itself.
     */
    restart: {
      /**
       * How often, before the agent is left as Failed; no limit when absent.
       */
      limit?: number;
      /**
       * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
       */
      policy: 'Never' | 'OnFailure' | 'Always';
    };
    /**
     * The terminal's size until a viewer brought its own.
     */
    terminal: {
      /**
       * Columns.
       */
      cols: number;
      /**
       * Rows.
       */
      rows: number;
    };
  };
  /**
   * How the last epoch ended; never changes once set for an epoch.
   */
  exit?: {
    /**
     * The exit code.
     */
    code?: number;
    /**
     * Which start of the command this was.
     */
    epoch: number;
    /**
     * Why, in one word.
     */
    reason: string;
    /**
     * The signal that ended it, such as `SIGKILL`.
     */
    signal?: string;
    /**
     * When.
     */
    time: string;
  };
  /**
   * The Host it was placed on.
   */
  hostName?: string;
  /**
   * Pages of the forge.
   */
  links?: {
    /**
     * The branch.
     */
    branch?: string;
    /**
     * The branch beside its base.
     */
    compare?: string;
  };
  /**
   * The range of the terminal's output that the log holds.
   */
  log?: {
    /**
     * Offset of the first byte that is kept.
     */
    first: number;
    /**
     * Offset after the last byte.
     */
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
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * The pull request of its branch.
   */
  pullRequest?: {
    /**
     * What the forge's checks say together.
     */
    checks?: 'Pending' | 'Passing' | 'Failing';
    /**
     * Its number.
     */
    number: number;
    /**
     * Open, Draft, Merged or Closed.
     */
    state: 'Open' | 'Draft' | 'Merged' | 'Closed';
    /**
     * Its page.
     */
    url: string;
  };
  /**
   * The oldest open question, in one line.
   */
  question?: string;
  /**
   * How often the restart policy started it again.
   */
  restarts?: number;
  /**
   * The terminal it runs in.
   */
  session?: {
    /**
     * The CLI's own name for the conversation.
     */
    conversationId?: string;
    /**
     * Counts the starts of the command.
     */
    epoch: number;
    /**
     * Process id of the command on its host.
     */
    pid?: number;
    /**
     * How to reach it with tmux itself: socket name and session, as in `tmux -L SOCKET attach -t SESSION`.
     */
    tmux: string;
  };
  /**
   * Tokens and their cost, over all epochs.
   */
  usage?: {
    /**
     * Tokens that the provider had cached.
     */
    cacheRead?: number;
    /**
     * Tokens that the provider put into its cache.
     */
    cacheWrite?: number;
    /**
     * How full the model's context is.
     */
    contextPercent?: number;
    /**
     * In US dollars; absent where the model's price is not known.
     */
    cost?: string;
    /**
     * Tokens sent, cached ones aside.
     */
    input: number;
    /**
     * The model of the last turn.
     */
    model?: string;
    /**
     * Tokens received.
     */
    output: number;
  };
  /**
   * Its checkout.
   */
  worktree?: {
    /**
     * Commits on the branch that its base does not have.
     */
    ahead?: number;
    /**
     * The commit that the branch started from.
     */
    baseSHA?: string;
    /**
     * Commits on the base that the branch does not have.
     */
    behind?: number;
    /**
     * The branch that is checked out.
     */
    branch?: string;
    /**
     * What is uncommitted, counted.
     */
    changes?: {
      /**
       * Lines added.
       */
      added: number;
      /**
       * Files that differ.
       */
      files: number;
      /**
       * Lines removed.
       */
      removed: number;
    };
    /**
     * Whether anything is uncommitted.
     */
    dirty?: boolean;
    /**
     * The branch's last commit.
     */
    headSHA?: string;
    /**
     * Where it is on the host.
     */
    path: string;
    /**
     * Whether the remote has every commit of the branch.
     */
    pushed?: boolean;
  };
}

/**
 * Several agents from one template, by number or one for each of something.
 */
export interface AgentSetSpec {
  /**
   * One agent for each of these.
   */
  fanOut?: {
    /**
     * One agent for each prompt.
     */
    prompts?: string[];
    /**
     * One agent for each Repo.
     */
    repos?: {
      /**
       * Name of the object.
       */
      name: string;
    }[];
    /**
     * One agent for each open Task with these labels.
     */
    taskSelector?: {
      /**
       * What else must hold of its labels.
       */
      matchExpressions?: {
        /**
         * The label.
         */
        key: string;
        /**
         * How the label's value relates to `values`.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * What In and NotIn compare with.
         */
        values?: string[];
      }[];
      /**
       * Labels that the object must have, with these values.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
  };
  /**
   * How many agents; 1 when neither this nor `fanOut` is set.
   */
  replicas?: number;
  /**
   * Labels by which the set finds its agents; its own name as `regatta.dev/agentset` when absent.
   */
  selector?: {
    /**
     * What else must hold of its labels.
     */
    matchExpressions?: {
      /**
       * The label.
       */
      key: string;
      /**
       * How the label's value relates to `values`.
       */
      operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
      /**
       * What In and NotIn compare with.
       */
      values?: string[];
    }[];
    /**
     * Labels that the object must have, with these values.
     */
    matchLabels?: {
      [k: string]: string;
    };
  };
  /**
   * What each agent is made from.
   */
  template: {
    /**
     * Labels and annotations of the agents.
     */
    metadata?: {
      /**
       * Annotations.
       */
      annotations?: {
        [k: string]: string;
      };
      /**
       * Labels.
       */
      labels?: {
        [k: string]: string;
      };
    };
    /**
     * Their spec.
     */
    spec: {
      /**
       * The Account whose login and limits it uses.
       */
      accountRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * Which CLI: the name or alias of an adapter. The class's when absent; else `command` with `spec.command`, `shell` without.
       */
      adapter?: string;
      /**
       * The ApprovalPolicy that answers its questions first; it beats every policy that selects the agent by labels.
       */
      approvalPolicyRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
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
       * The AgentClass whose values this agent inherits where it sets none itself.
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
       * Environment of the command; the class's entries come first, entries of the same name replace them.
       */
      env?: {
        /**
         * The variable's name.
         */
        name: string;
        /**
         * Its value, as it is: nothing is expanded.
         */
        value?: string;
        /**
         * Where its value comes from.
         */
        valueFrom?: {
          /**
           * A key of a Secret in the agent's namespace.
           */
          secretKeyRef: {
            /**
             * Key in its data.
             */
            key: string;
            /**
             * Name of the Secret.
             */
            name: string;
          };
        };
      }[];
      /**
       * Begin with the conversation and the commit of another agent's turn.
       */
      forkFrom?: {
        /**
         * Name of that Agent, in the same namespace.
         */
        agent: string;
        /**
         * The turn after which the new conversation begins, counted from 1; the last when absent.
         */
        turn?: number;
      };
      /**
       * What to do by itself when the agent is stuck, before the class's and the adapter's rules.
       */
      healing?: {
        /**
         * The least time between two uses; 1m when absent.
         */
        cooldown?: string;
        /**
         * What to do, in order.
         */
        do: {
          /**
           * Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
           */
          action: 'Send' | 'Keys' | 'Compact' | 'Restart' | 'Hibernate' | 'Notify';
          /**
           * What Keys presses, in tmux's names such as `Enter` or `C-c`.
           */
          keys?: string[];
          /**
           * Whether Restart gives the last prompt again.
           */
          replayPrompt?: boolean;
          /**
           * What Send types.
           */
          text?: string;
        }[];
        /**
         * The most uses in an hour; 3 when absent.
         */
        maxPerHour?: number;
        /**
         * Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
         */
        name: string;
        /**
         * All that is set must hold.
         */
        when: {
          /**
           * What the agent is doing.
           */
          activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
          /**
           * Less than this much of the model's context is left.
           */
          contextBelowPercent?: number;
          /**
           * The name of a piece of evidence that the adapter reports, such as an error class.
           */
          evidence?: string;
          /**
           * How the command ended.
           */
          exit?: 'Any' | 'Failure';
          /**
           * Idle for at least this long.
           */
          idleFor?: string;
          /**
           * The id of one of the adapter's screen rules, seen on the live region.
           */
          screen?: string;
        };
      }[];
      /**
       * After this long Idle the command is ended and its conversation kept; the next input starts it again.
       */
      hibernateAfter?: string;
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
           * What else must hold of its labels.
           */
          matchExpressions?: {
            /**
             * The label.
             */
            key: string;
            /**
             * How the label's value relates to `values`.
             */
            operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
            /**
             * What In and NotIn compare with.
             */
            values?: string[];
          }[];
          /**
           * Labels that the object must have, with these values.
           */
          matchLabels?: {
            [k: string]: string;
          };
        };
        /**
         * Taints that this agent may be placed beside.
         */
        tolerations?: {
          /**
           * Key of the taint.
           */
          key: string;
          /**
           * Value of the taint; any when absent.
           */
          value?: string;
        }[];
      };
      /**
       * Terminal: in a terminal that people watch and type into. Headless: by the CLI's own protocol, as a chat.
       */
      interface?: 'Terminal' | 'Headless';
      /**
       * How it is kept apart from the rest of the host.
       */
      isolation?: {
        /**
         * The most processors it may use.
         */
        cpus?: number;
        /**
         * The image of a Container or Pod.
         */
        image?: string;
        /**
         * The most memory it may use.
         */
        memory?: number | string;
        /**
         * None: an ordinary process of the host's user. Sandbox: confined to its worktree. Container and Pod: in an image of its own.
         */
        mode: 'None' | 'Sandbox' | 'Container' | 'Pod';
        /**
         * What it may reach; Full when absent.
         */
        network?: 'None' | 'Full' | 'Loopback';
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
        /**
         * Keep when absent.
         */
        branch?: 'Keep' | 'DeleteWhenMerged';
        /**
         * DeleteWhenClean when absent.
         */
        worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
      };
      /**
       * What the adapter offers: model, mode and so on. A value is a string, an integer or a boolean.
       */
      options?: {
        [k: string]: unknown;
      };
      /**
       * The first task: exactly one of a text, a ConfigMap's key and a Task.
       */
      prompt?: {
        /**
         * A key of a ConfigMap that holds the words.
         */
        configMapRef?: {
          /**
           * Key in its data.
           */
          key: string;
          /**
           * Name of the ConfigMap.
           */
          name: string;
        };
        /**
         * A Task whose title and body are the words, and which the agent claims.
         */
        taskRef?: {
          /**
           * Name of the object.
           */
          name: string;
        };
        /**
         * The task in words.
         */
        text?: string;
      };
      /**
       * After this long without output a condition `Quiet` says so; what the agent is doing stays what it is.
       */
      quietAfter?: string;
      /**
       * The Repo to work on, in a worktree of its own. Without it and without `directory`, an empty directory of its own.
       */
      repoRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * What to do when the command ends by itself; the adapter's policy when absent.
       */
      restart?: {
        /**
         * How often, before the agent is left as Failed; no limit when absent.
         */
        limit?: number;
        /**
         * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
         */
        policy: 'Never' | 'OnFailure' | 'Always';
      };
      /**
       * What to say to the CLI when a rate limit has passed; the Account's text when absent.
       */
      resumeText?: string;
      /**
       * Whether it should be running. Stopped ends the command and keeps everything else.
       */
      run?: 'Running' | 'Stopped' | 'Hibernated' | 'Archived';
      /**
       * Skills that the CLI is given at launch.
       */
      skills?: {
        /**
         * Name of the object.
         */
        name: string;
      }[];
      /**
       * Added to what the CLI tells its model about itself.
       */
      systemPrompt?: string;
      /**
       * The terminal's size until a viewer brings its own.
       */
      terminal?: {
        /**
         * Columns.
         */
        cols: number;
        /**
         * Rows.
         */
        rows: number;
      };
      /**
       * Delete the Agent this long after it finished.
       */
      ttlAfterFinished?: string;
      /**
       * Whose worktree, and who its commits are from.
       */
      worktree?: {
        /**
         * The Agent whose worktree is shared.
         */
        agentRef?: {
          /**
           * Name of the object.
           */
          name: string;
        };
        /**
         * Author and committer of its commits; the repository's or the user's own when absent.
         */
        identity?: {
          /**
           * The address in commits.
           */
          email: string;
          /**
           * The name in commits.
           */
          name: string;
        };
        /**
         * Own: a worktree for this agent alone. Shared: that of `agentRef`.
         */
        mode?: 'Own' | 'Shared';
      };
    };
  };
  /**
   * How agents come to follow a changed template.
   */
  updateStrategy?: {
    /**
     * How many may be away at the same time; 1 when absent.
     */
    maxUnavailable?: number;
    /**
     * OnDelete: whoever deletes an agent gets a new one. RollingUpdate: the set replaces them by itself.
     */
    type: 'OnDelete' | 'RollingUpdate';
  };
}

/**
 * What is known about an AgentSet.
 */
export interface AgentSetStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * How many agents there should be.
   */
  desired?: number;
  /**
   * How many have finished.
   */
  finished?: number;
  /**
   * How many wait for a person.
   */
  needsInput?: number;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many of them are Ready.
   */
  readyReplicas?: number;
  /**
   * How many there are.
   */
  replicas?: number;
  /**
   * The selector as text, for whoever scales.
   */
  selector?: string;
}

/**
 * Rules that answer agents' questions before people do; the first that matches decides.
 */
export interface ApprovalPolicySpec {
  /**
   * Agents that it is for, by their labels; agents and classes that name it by `approvalPolicyRef` need none.
   */
  agentSelector?: {
    /**
     * What else must hold of its labels.
     */
    matchExpressions?: {
      /**
       * The label.
       */
      key: string;
      /**
       * How the label's value relates to `values`.
       */
      operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
      /**
       * What In and NotIn compare with.
       */
      values?: string[];
    }[];
    /**
     * Labels that the object must have, with these values.
     */
    matchLabels?: {
      [k: string]: string;
    };
  };
  /**
   * What becomes of questions that no rule matches.
   */
  default?: 'Ask' | 'Allow' | 'Deny';
  /**
   * How long people have to answer; for ever when absent.
   */
  expiresAfter?: string;
  /**
   * What becomes of a question that nobody answered in time.
   */
  onExpiry?: 'Keep' | 'Deny';
  /**
   * Looked at in this order.
   */
  rules?: {
    /**
     * The answer to a question, for `then: Answer`.
     */
    answer?: {
      /**
       * The id or label of an option that the question offers.
       */
      option?: string;
      /**
       * An answer in words.
       */
      text?: string;
    };
    /**
     * What to tell the agent beside it, such as what to do instead.
     */
    message?: string;
    /**
     * Names the rule in audits and on the Approval.
     */
    name: string;
    /**
     * What the answer is; Ask leaves it to people.
     */
    then: 'Allow' | 'Deny' | 'Ask' | 'Answer';
    /**
     * A CEL expression over agent, repo, branch, tool, rawTool, input, command and paths, such as `tool == 'Bash' && command.startsWith('cargo test')`.
     */
    when: string;
  }[];
}

/**
 * What is known about an ApprovalPolicy.
 */
export interface ApprovalPolicyStatus {
  /**
   * How many questions it allowed.
   */
  allowed?: number;
  /**
   * How many it left to people.
   */
  asked?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * How many it denied.
   */
  denied?: number;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many rules it has.
   */
  rules?: number;
}

/**
 * A decision that an agent waits for. Answer it with `regatta approve`, or by setting `spec.decision` once.
 */
export interface ApprovalSpec {
  /**
   * The Agent that asks.
   */
  agentRef: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * The answer: set once, by whoever answers first.
   */
  decision?: {
    /**
     * Answers to the questions of a form, each by its id.
     */
    answers?: {
      /**
       * The labels that were chosen.
       */
      labels?: string[];
      /**
       * The question's id.
       */
      question: string;
      /**
       * An answer in words.
       */
      text?: string;
    }[];
    /**
     * Who answered.
     */
    by?: string;
    /**
     * What to tell the agent beside it, such as why not.
     */
    message?: string;
    /**
     * The id of one of `spec.options`.
     */
    option?: string;
  };
  /**
   * Until when it can be answered here; then the question is the terminal's alone.
   */
  expires?: string;
  /**
   * What the tool would be given, as JSON text, without secrets.
   */
  input?: string;
  /**
   * What kind of decision it is.
   */
  kind: 'Permission' | 'Question' | 'Plan' | 'Auth' | 'RateLimit';
  /**
   * The answers that the CLI offers.
   */
  options?: {
    /**
     * What it comes to.
     */
    effect: 'Allow' | 'AllowSession' | 'AllowAlways' | 'Deny' | 'Answer' | 'Cancel';
    /**
     * Names the answer in a decision.
     */
    id: string;
    /**
     * What people read.
     */
    label: string;
  }[];
  /**
   * The tool's name as the CLI has it.
   */
  rawTool?: string;
  /**
   * The question in one line.
   */
  summary: string;
  /**
   * The tool that it wants to use: Bash, Read, Write, Edit, Fetch, Search, Task, Mcp or Other.
   */
  tool?: 'Bash' | 'Read' | 'Write' | 'Edit' | 'Fetch' | 'Search' | 'Task' | 'Mcp' | 'Other';
}

/**
 * What is known about an Approval.
 */
export interface ApprovalStatus {
  /**
   * When it was answered.
   */
  answeredAt?: string;
  /**
   * Who answered.
   */
  answeredBy?: string;
  /**
   * Where it was answered.
   */
  answeredVia?: 'Terminal' | 'Web' | 'Push' | 'CLI' | 'API' | 'Policy' | 'MCP';
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * The rule that decided, as `policy/rule`.
   */
  rule?: string;
}

/**
 * Tasks in columns, which can become agents by themselves.
 */
export interface BoardSpec {
  /**
   * The columns, from left to right.
   */
  columns: {
    /**
     * Its name.
     */
    name: string;
    /**
     * Whether tasks in it are done.
     */
    terminal?: boolean;
    /**
     * The most tasks in it at the same time; no limit when absent.
     */
    wip?: number;
  }[];
  /**
   * Open tasks become agents.
   */
  dispatch?: {
    /**
     * The AgentClass of agents for tasks that name none.
     */
    classRef: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The column whose tasks become agents; the first when absent.
     */
    column?: string;
    /**
     * The most agents at the same time.
     */
    maxAgents: number;
  };
  /**
   * Begins the short names of its tasks: `PROJ` gives PROJ-1, PROJ-2 and so on.
   */
  key: string;
}

/**
 * What is known about a Board.
 */
export interface BoardStatus {
  /**
   * How many columns it has.
   */
  columns?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * How many tasks each column has.
   */
  counts?: {
    /**
     * The column.
     */
    name: string;
    /**
     * Its tasks.
     */
    tasks: number;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many tasks are open.
   */
  open?: number;
}

/**
 * Where agents and people talk to each other.
 */
export interface ChannelSpec {
  /**
   * Who reads and writes there.
   */
  members?: {
    /**
     * An Agent.
     */
    agentRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * Every Agent with these labels.
     */
    agentSelector?: {
      /**
       * What else must hold of its labels.
       */
      matchExpressions?: {
        /**
         * The label.
         */
        key: string;
        /**
         * How the label's value relates to `values`.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * What In and NotIn compare with.
         */
        values?: string[];
      }[];
      /**
       * Labels that the object must have, with these values.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * Names the entry.
     */
    name: string;
    /**
     * A user.
     */
    user?: string;
  }[];
  /**
   * How many messages an agent may send.
   */
  rateLimit?: {
    /**
     * How many messages.
     */
    messages: number;
    /**
     * In which time.
     */
    period: string;
  };
  /**
   * How long messages are kept; for ever when absent.
   */
  retention?: string;
  /**
   * What it is about, in one line.
   */
  topic?: string;
}

/**
 * What is known about a Channel.
 */
export interface ChannelStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * When somebody last wrote.
   */
  lastMessageTime?: string;
  /**
   * How many members it names.
   */
  members?: number;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * A machine or pod on which agents live. Its labels are the object's labels.
 */
export interface HostSpec {
  /**
   * Empty the host: nothing new is placed here, and its agents are to end or move.
   */
  drain?: {
    /**
     * How long agents may go on before they are ended; for ever when absent.
     */
    deadline?: string;
  };
  /**
   * How many agents may be placed here; no limit when absent.
   */
  maxAgents?: number;
  /**
   * Only agents that tolerate them are placed here.
   */
  taints?: {
    /**
     * What to tolerate.
     */
    key: string;
    /**
     * A value that a toleration may insist on.
     */
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
   * Which adapters' commands it found.
   */
  adapters?: {
    /**
     * Whether agents with it can be started here.
     */
    available: boolean;
    /**
     * Name of the Adapter.
     */
    name: string;
    /**
     * Why not.
     */
    reason?: string;
    /**
     * The version that the command reports.
     */
    version?: string;
  }[];
  /**
   * How many agents are placed here.
   */
  agents?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The replica of the control plane that holds its link.
   */
  gateway?: string;
  /**
   * What the host says about its machine.
   */
  info?: {
    /**
     * Processor architecture.
     */
    arch: string;
    /**
     * Number of processors.
     */
    cpus: number;
    /**
     * Version of git.
     */
    git: string;
    /**
     * Labels that the host asks for; put on the Host when it is first seen.
     */
    labels?: {
      [k: string]: string;
    };
    /**
     * Memory of the machine.
     */
    memoryBytes: number;
    /**
     * Operating system.
     */
    os: string;
    /**
     * Version of tmux.
     */
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
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * Who is told of what, where, and when not.
 */
export interface NotificationPolicySpec {
  /**
   * Sent to the escalation routes when nobody reacted by then.
   */
  escalateAfter?: string;
  /**
   * Notifications of one kind within this time become one.
   */
  group?: {
    /**
     * What they must have in common.
     */
    by: 'Agent' | 'Repo' | 'Namespace';
    /**
     * How long the first waits for others.
     */
    wait: string;
  };
  /**
   * What it is about; everything that people wait for when absent.
   */
  match?: {
    /**
     * What an agent has begun to do.
     */
    activities?: ('Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown')[];
    /**
     * Agents with these labels.
     */
    agentSelector?: {
      /**
       * What else must hold of its labels.
       */
      matchExpressions?: {
        /**
         * The label.
         */
        key: string;
        /**
         * How the label's value relates to `values`.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * What In and NotIn compare with.
         */
        values?: string[];
      }[];
      /**
       * Labels that the object must have, with these values.
       */
      matchLabels?: {
        [k: string]: string;
      };
    };
    /**
     * The least severity.
     */
    severity?: 'Info' | 'Warning' | 'Critical';
  };
  /**
   * When nothing but Critical is sent.
   */
  quietHours?: {
    /**
     * Days on which they begin; every day when empty.
     */
    days?: ('Monday' | 'Tuesday' | 'Wednesday' | 'Thursday' | 'Friday' | 'Saturday' | 'Sunday')[];
    /**
     * They begin then.
     */
    from: string;
    /**
     * The time zone, such as `Europe/Berlin`; UTC when absent.
     */
    timeZone?: string;
    /**
     * They end then, on the next day if that is earlier.
     */
    to: string;
  };
  /**
   * Sent again while nobody reacts; once only when absent.
   */
  repeat?: string;
  /**
   * Where notifications go.
   */
  routes: {
    /**
     * Only when nobody reacted on the others.
     */
    escalation?: boolean;
    /**
     * Names the route in the status.
     */
    name: string;
    /**
     * A Secret with where to and with what.
     */
    secretRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The way.
     */
    type: 'WebPush' | 'Webhook' | 'Ntfy' | 'Slack' | 'Email';
    /**
     * Whose devices, for WebPush; everybody's who may see the agent when empty.
     */
    users?: string[];
  }[];
}

/**
 * What is known about a NotificationPolicy.
 */
export interface NotificationPolicyStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The last delivery of each route.
   */
  deliveries?: {
    /**
     * Why it did not arrive.
     */
    error?: string;
    /**
     * The route.
     */
    name: string;
    /**
     * When.
     */
    time?: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many routes it has.
   */
  routes?: number;
}

/**
 * A git repository that agents work on: each agent gets a worktree of it, on its own branch.
 */
export interface RepoSpec {
  /**
   * A Secret with `username` and `password`, or `ssh-privatekey`. The host user's own credentials when absent.
   */
  credentialsRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * The branch that agents start from; the remote's HEAD when absent.
   */
  defaultBranch?: string;
  /**
   * How often clones are refreshed while agents work on the Repo.
   */
  fetchPeriod?: string;
  /**
   * The forge that has it, for links, pull requests and checks.
   */
  forge?: {
    /**
     * Which software it runs.
     */
    kind: 'GitHub' | 'GitLab' | 'Gitea';
    /**
     * The project's name there, such as `acme/payments`; read from the URL when absent.
     */
    project?: string;
  };
  /**
   * Run `git init` in an empty `path`.
   */
  initialize?: boolean;
  /**
   * What is left out of a clone until it is needed.
   */
  partialClone?: 'Full' | 'Blobless' | 'Treeless';
  /**
   * A repository (or, with `initialize`, an empty directory) on the host itself: an absolute path.
   */
  path?: string;
  /**
   * Where to clone from: https://, ssh://, git://, file:// or user@host:path. Never with a password in it.
   */
  url?: string;
  /**
   * How worktrees of it are made.
   */
  worktree?: {
    /**
     * The branch of an agent that names none; `{name}` and `{namespace}` are the agent's. `agent/{name}` when absent.
     */
    branchTemplate?: string;
    /**
     * Files that git does not track and that are copied from `path` or the first worktree, such as `.env`.
     */
    copyFiles?: string[];
    /**
     * The same, as links: directories that may be shared, such as caches.
     */
    links?: string[];
    /**
     * The most worktrees that may exist on one host at the same time.
     */
    maxWorktrees?: number;
    /**
     * Commands to run in a fresh worktree before the agent starts, each by `sh -c`.
     */
    setup?: string[];
  };
}

/**
 * What is known about a Repo.
 */
export interface RepoStatus {
  /**
   * How many agents work on it.
   */
  agents?: number;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
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
    /**
     * The default branch's last commit there.
     */
    headSHA?: string;
    /**
     * Name of the Host.
     */
    host: string;
    /**
     * When it was last refreshed.
     */
    lastFetchTime?: string;
    /**
     * How much disk it takes.
     */
    sizeBytes?: number;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * Its page at the forge.
   */
  webURL?: string;
}

/**
 * Agents, tasks or messages at certain times.
 */
export interface ScheduleSpec {
  /**
   * Make an Agent.
   */
  agent?: {
    /**
     * Labels and annotations of the agents.
     */
    metadata?: {
      /**
       * Annotations.
       */
      annotations?: {
        [k: string]: string;
      };
      /**
       * Labels.
       */
      labels?: {
        [k: string]: string;
      };
    };
    /**
     * Their spec.
     */
    spec: {
      /**
       * The Account whose login and limits it uses.
       */
      accountRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * Which CLI: the name or alias of an adapter. The class's when absent; else `command` with `spec.command`, `shell` without.
       */
      adapter?: string;
      /**
       * The ApprovalPolicy that answers its questions first; it beats every policy that selects the agent by labels.
       */
      approvalPolicyRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
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
       * The AgentClass whose values this agent inherits where it sets none itself.
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
       * Environment of the command; the class's entries come first, entries of the same name replace them.
       */
      env?: {
        /**
         * The variable's name.
         */
        name: string;
        /**
         * Its value, as it is: nothing is expanded.
         */
        value?: string;
        /**
         * Where its value comes from.
         */
        valueFrom?: {
          /**
           * A key of a Secret in the agent's namespace.
           */
          secretKeyRef: {
            /**
             * Key in its data.
             */
            key: string;
            /**
             * Name of the Secret.
             */
            name: string;
          };
        };
      }[];
      /**
       * Begin with the conversation and the commit of another agent's turn.
       */
      forkFrom?: {
        /**
         * Name of that Agent, in the same namespace.
         */
        agent: string;
        /**
         * The turn after which the new conversation begins, counted from 1; the last when absent.
         */
        turn?: number;
      };
      /**
       * What to do by itself when the agent is stuck, before the class's and the adapter's rules.
       */
      healing?: {
        /**
         * The least time between two uses; 1m when absent.
         */
        cooldown?: string;
        /**
         * What to do, in order.
         */
        do: {
          /**
           * Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
           */
          action: 'Send' | 'Keys' | 'Compact' | 'Restart' | 'Hibernate' | 'Notify';
          /**
           * What Keys presses, in tmux's names such as `Enter` or `C-c`.
           */
          keys?: string[];
          /**
           * Whether Restart gives the last prompt again.
           */
          replayPrompt?: boolean;
          /**
           * What Send types.
           */
          text?: string;
        }[];
        /**
         * The most uses in an hour; 3 when absent.
         */
        maxPerHour?: number;
        /**
         * Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
         */
        name: string;
        /**
         * All that is set must hold.
         */
        when: {
          /**
           * What the agent is doing.
           */
          activity?: 'Starting' | 'Working' | 'NeedsInput' | 'Idle' | 'RateLimited' | 'Finished' | 'Failed' | 'Stopped' | 'Unknown';
          /**
           * Less than this much of the model's context is left.
           */
          contextBelowPercent?: number;
          /**
           * The name of a piece of evidence that the adapter reports, such as an error class.
           */
          evidence?: string;
          /**
           * How the command ended.
           */
          exit?: 'Any' | 'Failure';
          /**
           * Idle for at least this long.
           */
          idleFor?: string;
          /**
           * The id of one of the adapter's screen rules, seen on the live region.
           */
          screen?: string;
        };
      }[];
      /**
       * After this long Idle the command is ended and its conversation kept; the next input starts it again.
       */
      hibernateAfter?: string;
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
           * What else must hold of its labels.
           */
          matchExpressions?: {
            /**
             * The label.
             */
            key: string;
            /**
             * How the label's value relates to `values`.
             */
            operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
            /**
             * What In and NotIn compare with.
             */
            values?: string[];
          }[];
          /**
           * Labels that the object must have, with these values.
           */
          matchLabels?: {
            [k: string]: string;
          };
        };
        /**
         * Taints that this agent may be placed beside.
         */
        tolerations?: {
          /**
           * Key of the taint.
           */
          key: string;
          /**
           * Value of the taint; any when absent.
           */
          value?: string;
        }[];
      };
      /**
       * Terminal: in a terminal that people watch and type into. Headless: by the CLI's own protocol, as a chat.
       */
      interface?: 'Terminal' | 'Headless';
      /**
       * How it is kept apart from the rest of the host.
       */
      isolation?: {
        /**
         * The most processors it may use.
         */
        cpus?: number;
        /**
         * The image of a Container or Pod.
         */
        image?: string;
        /**
         * The most memory it may use.
         */
        memory?: number | string;
        /**
         * None: an ordinary process of the host's user. Sandbox: confined to its worktree. Container and Pod: in an image of its own.
         */
        mode: 'None' | 'Sandbox' | 'Container' | 'Pod';
        /**
         * What it may reach; Full when absent.
         */
        network?: 'None' | 'Full' | 'Loopback';
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
        /**
         * Keep when absent.
         */
        branch?: 'Keep' | 'DeleteWhenMerged';
        /**
         * DeleteWhenClean when absent.
         */
        worktree?: 'Keep' | 'DeleteWhenClean' | 'Discard';
      };
      /**
       * What the adapter offers: model, mode and so on. A value is a string, an integer or a boolean.
       */
      options?: {
        [k: string]: unknown;
      };
      /**
       * The first task: exactly one of a text, a ConfigMap's key and a Task.
       */
      prompt?: {
        /**
         * A key of a ConfigMap that holds the words.
         */
        configMapRef?: {
          /**
           * Key in its data.
           */
          key: string;
          /**
           * Name of the ConfigMap.
           */
          name: string;
        };
        /**
         * A Task whose title and body are the words, and which the agent claims.
         */
        taskRef?: {
          /**
           * Name of the object.
           */
          name: string;
        };
        /**
         * The task in words.
         */
        text?: string;
      };
      /**
       * After this long without output a condition `Quiet` says so; what the agent is doing stays what it is.
       */
      quietAfter?: string;
      /**
       * The Repo to work on, in a worktree of its own. Without it and without `directory`, an empty directory of its own.
       */
      repoRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * What to do when the command ends by itself; the adapter's policy when absent.
       */
      restart?: {
        /**
         * How often, before the agent is left as Failed; no limit when absent.
         */
        limit?: number;
        /**
         * Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
         */
        policy: 'Never' | 'OnFailure' | 'Always';
      };
      /**
       * What to say to the CLI when a rate limit has passed; the Account's text when absent.
       */
      resumeText?: string;
      /**
       * Whether it should be running. Stopped ends the command and keeps everything else.
       */
      run?: 'Running' | 'Stopped' | 'Hibernated' | 'Archived';
      /**
       * Skills that the CLI is given at launch.
       */
      skills?: {
        /**
         * Name of the object.
         */
        name: string;
      }[];
      /**
       * Added to what the CLI tells its model about itself.
       */
      systemPrompt?: string;
      /**
       * The terminal's size until a viewer brings its own.
       */
      terminal?: {
        /**
         * Columns.
         */
        cols: number;
        /**
         * Rows.
         */
        rows: number;
      };
      /**
       * Delete the Agent this long after it finished.
       */
      ttlAfterFinished?: string;
      /**
       * Whose worktree, and who its commits are from.
       */
      worktree?: {
        /**
         * The Agent whose worktree is shared.
         */
        agentRef?: {
          /**
           * Name of the object.
           */
          name: string;
        };
        /**
         * Author and committer of its commits; the repository's or the user's own when absent.
         */
        identity?: {
          /**
           * The address in commits.
           */
          email: string;
          /**
           * The name in commits.
           */
          name: string;
        };
        /**
         * Own: a worktree for this agent alone. Shared: that of `agentRef`.
         */
        mode?: 'Own' | 'Shared';
      };
    };
  };
  /**
   * What to do when the run before still goes on.
   */
  concurrencyPolicy?: 'Allow' | 'Forbid' | 'Replace';
  /**
   * When: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
   */
  cron: string;
  /**
   * How many finished runs are kept; 3 when absent.
   */
  history?: number;
  /**
   * Send a message.
   */
  message?: {
    /**
     * The Agent that gets it, as a prompt.
     */
    agentRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The Channel that gets it.
     */
    channelRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The message.
     */
    text: string;
  };
  /**
   * What to do about runs whose time passed while nothing was there to start them. All starts at most ten.
   */
  missedRuns?: 'Skip' | 'All' | 'One';
  /**
   * How late a run may still start.
   */
  startingDeadline?: string;
  /**
   * Do nothing for now.
   */
  suspend?: boolean;
  /**
   * Make a Task.
   */
  task?: {
    /**
     * Labels and annotations of the tasks.
     */
    metadata?: {
      /**
       * Annotations.
       */
      annotations?: {
        [k: string]: string;
      };
      /**
       * Labels.
       */
      labels?: {
        [k: string]: string;
      };
    };
    /**
     * Their spec.
     */
    spec: {
      /**
       * The Board that it is on.
       */
      boardRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * What is to be done, in full.
       */
      body?: string;
      /**
       * Who works on it. Whoever sets it first has it; a holder gives it back by removing it.
       */
      claim?: {
        /**
         * An agent or person.
         */
        holder: string;
        /**
         * How long the claim holds without being renewed; for ever when absent.
         */
        lease?: string;
        /**
         * When it was last renewed.
         */
        renewTime?: string;
      };
      /**
       * The AgentClass of an agent that takes it up.
       */
      classRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * The Board's column that it is in; the first when absent.
       */
      column?: string;
      /**
       * Tasks that must be done first.
       */
      dependsOn?: {
        /**
         * Name of the object.
         */
        name: string;
      }[];
      /**
       * Until when it should be done.
       */
      due?: string;
      /**
       * Words to find it by.
       */
      labels?: string[];
      /**
       * How much it matters.
       */
      priority?: 'Low' | 'Normal' | 'High' | 'Urgent';
      /**
       * The Repo that it is about.
       */
      repoRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * What came of it.
       */
      result?: string;
      /**
       * What is to be done, in one line.
       */
      title: string;
    };
  };
  /**
   * The time zone of `cron`, such as `Europe/Berlin`; UTC when absent.
   */
  timeZone?: string;
}

/**
 * What is known about a Schedule.
 */
export interface ScheduleStatus {
  /**
   * Runs that go on.
   */
  active?: {
    /**
     * The Agent or Task.
     */
    name: string;
    /**
     * When it started.
     */
    started?: string;
  }[];
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * When it last started a run.
   */
  lastTime?: string;
  /**
   * When it starts the next.
   */
  nextTime?: string;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * One subject may do something with one thing for a time.
 */
export interface ShareGrantSpec {
  /**
   * View looks on, Type also types and answers, Admin also changes and deletes.
   */
  access: 'View' | 'Type' | 'Admin';
  /**
   * How long after it was made the grant ends: a duration, or `Never`.
   */
  expiresAfter?: string;
  /**
   * Who may.
   */
  subject: {
    /**
     * A group.
     */
    group?: string;
    /**
     * A Team.
     */
    teamRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * A user.
     */
    user?: string;
  };
  /**
   * What they may do it with.
   */
  target: {
    /**
     * An Agent.
     */
    agentRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * A Board and its tasks.
     */
    boardRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * A Channel.
     */
    channelRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * A Repo and the agents on it.
     */
    repoRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * A Workspace.
     */
    workspaceRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
  };
}

/**
 * What is known about a ShareGrant.
 */
export interface ShareGrantStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * When it ends.
   */
  expiresAt?: string;
  /**
   * When it was last made use of.
   */
  lastUsedTime?: string;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * Who may, for people to read.
   */
  subject?: string;
  /**
   * What they may do it with, for people to read.
   */
  target?: string;
}

/**
 * Instructions that agents' CLIs offer as a command or a skill.
 */
export interface SkillSpec {
  /**
   * The instructions, in Markdown.
   */
  content?: string;
  /**
   * When an agent should use it, in one or two sentences.
   */
  description?: string;
  /**
   * Command: people and agents call it by name. Skill: the model picks it up when it fits.
   */
  form?: 'Command' | 'Skill';
  /**
   * Where they are in that Repo.
   */
  path?: string;
  /**
   * The Repo that has the instructions.
   */
  repoRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * Adapters that are given it; all that can be when empty.
   */
  targets?: string[];
}

/**
 * What is known about a Skill.
 */
export interface SkillStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * The adapters that are given it, for people to read.
   */
  targets?: string;
}

/**
 * A directory, or a path of a git repository, whose manifests are applied and pruned continuously. Its deletion ends
 * the following; the objects stay.
 */
export interface SourceSpec {
  /**
   * What to do when another manager owns a field that a manifest sets.
   */
  conflict?: 'Report' | 'Force';
  /**
   * The repository, and where in it the manifests are.
   */
  git?: {
    /**
     * A Secret in namespace regatta-system: `username` and `password` (or `token`) for http(s), or `ssh-privatekey` and
     * `known_hosts` for ssh; `ca.crt` for a server with a certificate authority of its own.
     */
    credentialsRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
    /**
     * The directory of the manifests, relative to the top of the repository; the top itself when absent.
     */
    dir?: string;
    /**
     * Branch, tag, full ref name or commit; the remote's HEAD when absent.
     */
    ref?: string;
    /**
     * Where to fetch from: https://, http://, ssh://, git://, file:// or user@host:path. Never with credentials in it.
     */
    url: string;
    /**
     * A Secret in namespace regatta-system whose `token` proves that a call of /hooks/git comes from the forge: the
     * webhook's secret at GitHub and Gitea, its secret token at GitLab. Without one only the period counts.
     */
    webhookSecretRef?: {
      /**
       * Name of the object.
       */
      name: string;
    };
  };
  /**
   * The namespace of manifests that name none; `default` when absent.
   */
  namespace?: string;
  /**
   * The directory, on the control plane's machine: an absolute path.
   */
  path?: string;
  /**
   * How often everything is applied again although nothing changed, which undoes what others did to it; for git also how
   * often the remote is asked. 5m for a path and 1m for git when absent; never more often than once a second. Changes
   * of files are noticed at once in any case.
   */
  period?: string;
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
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
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
    /**
     * The lines around the place. Absent where the file holds a Secret.
     */
    snippet?: string;
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
    /**
     * Empty until the object is known to have been applied.
     */
    uid: string;
  }[];
  /**
   * Where the manifests come from: the path, or URL, directory and ref of the repository.
   */
  location?: string;
  observedGeneration?: number;
  /**
   * What was last applied in full: a digest of the files of a path, a commit of a repository.
   */
  revision?: string;
}

/**
 * Something to be done, on a Board or by itself, claimed by one agent or person at a time.
 */
export interface TaskSpec {
  /**
   * The Board that it is on.
   */
  boardRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * What is to be done, in full.
   */
  body?: string;
  /**
   * Who works on it. Whoever sets it first has it; a holder gives it back by removing it.
   */
  claim?: {
    /**
     * An agent or person.
     */
    holder: string;
    /**
     * How long the claim holds without being renewed; for ever when absent.
     */
    lease?: string;
    /**
     * When it was last renewed.
     */
    renewTime?: string;
  };
  /**
   * The AgentClass of an agent that takes it up.
   */
  classRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * The Board's column that it is in; the first when absent.
   */
  column?: string;
  /**
   * Tasks that must be done first.
   */
  dependsOn?: {
    /**
     * Name of the object.
     */
    name: string;
  }[];
  /**
   * Until when it should be done.
   */
  due?: string;
  /**
   * Words to find it by.
   */
  labels?: string[];
  /**
   * How much it matters.
   */
  priority?: 'Low' | 'Normal' | 'High' | 'Urgent';
  /**
   * The Repo that it is about.
   */
  repoRef?: {
    /**
     * Name of the object.
     */
    name: string;
  };
  /**
   * What came of it.
   */
  result?: string;
  /**
   * What is to be done, in one line.
   */
  title: string;
}

/**
 * What is known about a Task.
 */
export interface TaskStatus {
  /**
   * The Agent that works on it.
   */
  agent?: string;
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * Its short name, such as `PROJ-12`.
   */
  key?: string;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * People with roles over namespaces.
 */
export interface TeamSpec {
  /**
   * Who belongs to it, and what they may do.
   */
  members: {
    /**
     * User or Group.
     */
    kind: 'User' | 'Group';
    /**
     * As authorisation names them.
     */
    name: string;
    /**
     * Owners change the Team, Admins everything in its namespaces; Members work with agents, Viewers look on.
     */
    role: 'Owner' | 'Admin' | 'Member' | 'Viewer';
  }[];
  /**
   * Where they may do it.
   */
  namespaces?: string[];
}

/**
 * What is known about a Team.
 */
export interface TeamStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * How many members it names.
   */
  members?: number;
  /**
   * How many namespaces it names.
   */
  namespaces?: number;
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
}

/**
 * A saved arrangement of tiles, to be opened again and shared.
 */
export interface WorkspaceSpec {
  /**
   * The tiles; those inside one split follow each other in this order.
   */
  tiles: {
    /**
     * Names the tile in this Workspace.
     */
    id: string;
    /**
     * The tile that it is inside.
     */
    parent?: string;
    /**
     * How those inside are put: side by side or one above the other.
     */
    split?: 'Row' | 'Column';
    /**
     * What it shows, the first on top.
     */
    tabs?: {
      /**
       * The Agent to look at.
       */
      agentRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * The Board to look at.
       */
      boardRef?: {
        /**
         * Name of the object.
         */
        name: string;
      };
      /**
       * The file to show.
       */
      path?: string;
      /**
       * What of it to show.
       */
      view: 'Terminal' | 'Chat' | 'Diff' | 'Files' | 'Board';
    }[];
    /**
     * Its share of the space, beside those in the same split; 1 when absent.
     */
    weight?: number;
  }[];
  /**
   * What people read.
   */
  title: string;
}

/**
 * What is known about a Workspace.
 */
export interface WorkspaceStatus {
  /**
   * How it is, for people and for `kubectl wait`.
   */
  conditions?: {
    /**
     * When the status last changed.
     */
    lastTransitionTime: string;
    /**
     * Why, for people, and what to do about it.
     */
    message: string;
    /**
     * The generation of the spec that this is about.
     */
    observedGeneration?: number;
    /**
     * Why, in one word for programs.
     */
    reason: string;
    /**
     * Whether it is so.
     */
    status: 'True' | 'False' | 'Unknown';
    /**
     * What it is about, such as Ready.
     */
    type: string;
  }[];
  /**
   * The generation of the spec that this status is about.
   */
  observedGeneration?: number;
  /**
   * How many tiles it has.
   */
  tiles?: number;
}
