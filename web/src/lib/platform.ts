// Which keys people see on their keyboard.

export const APPLE = /Mac|iPhone|iPad/.test(navigator.platform);
