-- Writes one line for each message into rspamd's log: who sent it, by which name, and what became of it.
-- See README.md beside this file. It changes no score and no action, and keeps nothing.
--
-- The name comes last and is not escaped: helostat reads it as the rest of the line.

local logger = require "rspamd_logger"

-- A word without blanks; a hyphen where there is none.
local function word(text)
  if not text or text == '' then
    return '-'
  end
  return (tostring(text):gsub('[%s%c]', '?'))
end

rspamd_config:register_symbol({
  name = 'HELOSTAT_EHLO_LOG',
  type = 'idempotent',
  -- Also for what a rule has decided at once, a forced reject for example.
  flags = 'empty,explicit_disable,ignore_passthrough',
  callback = function(task)
    local ip = task:get_from_ip()
    if not ip or not ip:is_valid() then
      return
    end
    logger.messagex(task, 'ehlo-log ip=%s rdns=%s user=%s action=%s helo=<%s>',
        tostring(ip),
        word(task:get_hostname()),
        task:get_user() and 'yes' or '-',
        (task:get_metric_action('default')),
        task:get_helo() or '')
  end,
})
